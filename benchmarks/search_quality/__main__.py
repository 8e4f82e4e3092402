"""The benchmark's command line; to be run in the folder `benchmarks`.

python -m search_quality run       run searches; results are appended as they come, what is there is not run again
python -m search_quality page      write search_quality.md from the results
python -m search_quality tables    evaluate the models' tables again (half an hour)
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")  # processor seconds are to be comparable

from search_quality.contenders import CONTENDERS  # noqa: E402
from search_quality.simulation import simulate  # noqa: E402
from search_quality.split import load_tasks, task_names  # noqa: E402

RESULTS = Path(__file__).parent / "results.jsonl"


def run(arguments: argparse.Namespace) -> None:
    """Run every search on every task with every seed, but not what the results have already."""
    results: Path = arguments.results
    lines = results.read_text().splitlines() if results.exists() else []
    rows = [row for row in map(json.loads, lines) if row["budget"] >= arguments.budget]
    done = {(row["task"], row["contender"], row["seed"]) for row in rows}
    tasks = load_tasks(arguments.tasks or task_names(arguments.half))
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for contender in arguments.contenders or CONTENDERS:
            for task in tasks:
                if (task.name, contender, seed) not in done:
                    outcome = simulate(task, contender, seed, arguments.budget)
                    with results.open("a") as file:
                        file.write(json.dumps(outcome._asdict()) + "\n")
            print(f"seed {seed}: {contender}", flush=True)


def main() -> None:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m search_quality")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tables", help="evaluate the models' tables again")
    running = commands.add_parser("run", help="run searches")
    running.add_argument("--half", choices=["tuning", "reported", "all"], default="reported")
    running.add_argument("--tasks", nargs="+", metavar="TASK", help="in place of a half")
    running.add_argument("--contenders", nargs="+", choices=CONTENDERS, metavar="NAME")
    running.add_argument("--seeds", type=int, default=20)
    running.add_argument("--first-seed", type=int, default=0)
    running.add_argument("--budget", type=int, default=200)
    running.add_argument("--results", type=Path, default=RESULTS)
    page = commands.add_parser("page", help="write the page")
    page.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    elif arguments.command == "page":
        from search_quality.page import write_page

        write_page(arguments.results)
    else:
        from search_quality.models import model_tasks
        from search_quality.tables import evaluate_table

        for task in model_tasks():
            evaluate_table(task)
            print(task.name, flush=True)


if __name__ == "__main__":
    main()
