"""The command `candle`, and `python -m candle_hpo`."""

import os
import sys


def main() -> None:
    """Run it, with candle's own modules and no other's: a `random.py` of the user's is not Python's own."""
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the folder where the user stands, or that of the command
    from candle_hpo.user_environment import leave_out_pythonpath

    leave_out_pythonpath()
    # After the user's environment was noted: NumPy's OpenBLAS sends a process a SIGINT, as Ctrl-C does, where it cannot
    # start its threads, and candle wants none of them.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from candle_hpo.cli import main as run

    run()


if __name__ == "__main__":
    main()
