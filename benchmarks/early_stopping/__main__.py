"""The benchmark's command line; to be run in the folder `benchmarks`.

python -m early_stopping run       run the searches that learn; results are appended as they come, what is there is not
                                   run again
python -m early_stopping page      run the others, and write its part of docs/performance.md
python -m early_stopping tables    train for the tables again (a quarter of an hour)
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")  # what the tables take is processor time

from early_stopping.page import write_page  # noqa: E402
from early_stopping.scores import SEEDS, Results  # noqa: E402
from early_stopping.searches import LEARNING, SEARCHES  # noqa: E402
from early_stopping.split import task_names  # noqa: E402
from early_stopping.tables import make_table  # noqa: E402
from early_stopping.tasks import TASKS  # noqa: E402

RESULTS = Path(__file__).parent / "results.jsonl"


def main() -> None:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m early_stopping")
    commands = parser.add_subparsers(dest="command", required=True)
    tables = commands.add_parser("tables", help="train for the tables again")
    tables.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    running = commands.add_parser("run", help="run searches on the tasks for claims")
    running.add_argument("--tasks", nargs="+", choices=TASKS, default=task_names("claims"), metavar="TASK")
    running.add_argument("--searches", nargs="+", choices=SEARCHES, default=LEARNING, metavar="NAME")
    running.add_argument("--seeds", type=int, default=SEEDS)
    running.add_argument("--results", type=Path, default=RESULTS)
    page = commands.add_parser("page", help="write the page")
    page.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.command == "tables":
        for name in arguments.tasks:
            make_table(name)
            print(name, flush=True)
    elif arguments.command == "page":
        write_page(Results(arguments.results))
    else:
        results = Results(arguments.results)
        for seed in range(arguments.seeds):
            for name in arguments.searches:
                for task in arguments.tasks:
                    results.add(task, name, seed)
                print(f"seed {seed}: {name}", flush=True)


if __name__ == "__main__":
    main()
