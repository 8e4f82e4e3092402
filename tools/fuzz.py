"""Feeds the readers with arbitrary bytes for as long as you like, led by which lines they reach (atheris, libFuzzer).

    .venv/bin/python -m pip install atheris
    .venv/bin/python tools/fuzz.py --seconds 600              # all targets, one after the other
    .venv/bin/python tools/fuzz.py --seconds 3600 record      # one of them

A target that raises, takes longer than ten seconds or more than a gigabyte ends the run with status 1; what it was fed
with is in `crash-…` (or `timeout-…`, `oom-…`) of the folder that is named then.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))


def main() -> int:
    """Fuzz the targets that the arguments name, each in its own process."""
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], sys.argv[3:])
        return 0
    from support.fuzz_targets import SEEDS, TARGETS

    parser = argparse.ArgumentParser(description="Feed the readers with arbitrary bytes.")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all, if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    known = parser.parse_args()
    failed: list[str] = []
    for name in known.targets or list(TARGETS):
        folder = Path(tempfile.mkdtemp(prefix=f"candle_fuzz_{name}_"))
        (folder / "corpus").mkdir()
        (folder / "corpus" / "seed").write_bytes(SEEDS[name])
        limits = [f"-max_total_time={known.seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=4096"]
        command = [sys.executable, str(Path(__file__).resolve()), "--one", name, *limits, "corpus"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        runs = [line for line in done.stderr.splitlines() if "Done " in line or "DONE" in line]
        print(f"{name}: {runs[-1] if runs else 'stopped'}", flush=True)
        if done.returncode != 0:
            failed.append(name)
            print(f"{name} FAILED, see {folder}:\n{done.stderr[-3000:]}", flush=True)
    return 1 if failed else 0


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz one target in this process, as libFuzzer does; it does not return."""
    import atheris

    with atheris.instrument_imports(include=["candle_hpo"]):
        from support.fuzz_targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
