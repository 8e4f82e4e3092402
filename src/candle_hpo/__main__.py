import sys

if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the folder where the user stands: a `random.py` there is not Python's own

from candle_hpo.cli import main

main()
