"""The benchmarks run: each with as little as shows that its ways still exist. What they measure is not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

CAMPAIGN = "import sys, campaign_cost\nfrom pathlib import Path\ncampaign_cost.run_campaign(20, Path('events.jsonl'))"
STARTUP = """
from pathlib import Path
import startup
task = startup.TASKS["empty"]._replace(counts={"quick": (2, 4), "medium": (1, 2)})
for label, way in startup.ways(None).items():
    print(label, startup.cost(way, task, Path()))
"""
REPORTS = """
from pathlib import Path
import reports
if __name__ == "__main__":
    found = reports.measure(10, 3, Path("events.jsonl"))
    assert found["verdicts"] == 2, found
    assert found["share"] > 0 and found["99th percentile"] >= found["median"] > 0, found
"""
SEARCHES = ("random search", "asha", "bayesian, asha", "Optuna: TPE, median")
EARLY_STOPPING = f"""
from pathlib import Path
import numpy as np
from early_stopping import tables
from early_stopping.scores import ratio
from early_stopping.searches import SEARCHES as MAKE
from early_stopping.simulation import simulate

name, count = "features_friedman", 12
tables.make_table(name, count, Path())
made, published = tables.Table.load(name, Path()), tables.Table.load(name)
assert made.configurations == published.configurations[:count]
assert np.allclose(made.losses, published.losses[:count], rtol=1e-3)
for search in {SEARCHES}:
    runs = [simulate(made, MAKE[search](made, seed), whole_trials=2) for seed in range(2)]
    seconds = np.array([[run.seconds for run in runs]])
    print(search, runs[0].trials, runs[0].steps, ratio(seconds, seconds).high)
"""
SHARED_FILES = """
from pathlib import Path
from shared_files import OTHERS, calls

Path("trace").write_text('7 1.0 fsync(4</x/events.jsonl>) = 0\\n'
    '7 2.0 openat(AT_FDCWD</x/run/a>, "log.csv", O_RDONLY) = 3</x/run/a/log.csv>\\n'
    '7 2.1 pread64(3</x/run/a/log.csv>, "/usr/x", 10, 0) = 6\\n'
    '7 2.2 newfstatat(AT_FDCWD</x/run/a>, "/usr/lib", 0x7f, 0) = 0\\n'
    '7 2.3 close(3</x/run/a/log.csv>) = 0\\n'
    '8 2.4 fsync(4</x/events.jsonl>) = 0\\n'
    '9 2.5 openat(AT_FDCWD</x/run/a>, "log.csv", O_RDONLY) = 3</x/run/a/log.csv>\\n')
log, record = Path("/x/run/a/log.csv"), Path("/x/events.jsonl")
assert list(calls(Path("trace"), Path("/x"), {"7", "8"}, 1.5, 3.0)) == [
    (OTHERS, log, "openat"), ("reads of open files", log, "pread64"), (OTHERS, record, "fsync")
]
"""
GPUS = "import gpus\nprint([trial.value for trial in gpus.run('val_to_return = hyperparams[\"x\"]', 2).trials])"


def run(here: Path, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\n{program}"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_cost_of_a_campaign(here: Path) -> None:
    spent, lasted, replay, memory = json.loads(run(here, CAMPAIGN))
    assert min(spent, lasted, replay, memory) > 0


def test_the_cost_of_reports(here: Path) -> None:
    run(here, REPORTS)


def test_what_is_counted_of_shared_files(here: Path) -> None:
    run(here, SHARED_FILES)


def test_a_search_from_curves(here: Path) -> None:
    assert float(run(here, "import search_from_curves\nprint(search_from_curves.speed(12, 3))")) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count what has lost its parent")
def test_the_cost_of_a_trial(here: Path) -> None:
    assert float(run(here, "import trial_cost\nprint(trial_cost.run(sys.executable, 'bash', 3))")) > 0


@pytest.mark.slow
def test_start_up_beside_other_ways(here: Path) -> None:
    printed = run(here, STARTUP)
    assert "candle, `preload=none`" in printed and "Optuna, calling the script" in printed


def test_stopping_early_on_learning_curves(here: Path) -> None:
    lines = [line.rsplit(maxsplit=3) for line in run(here, EARLY_STOPPING).splitlines()]
    assert [line[0] for line in lines] == list(SEARCHES)
    for _, trials, steps, ratio in lines:
        assert 8 <= int(trials) <= 12, "all workers had one"
        assert 50 <= int(steps) <= 600, "one whole at least"
        assert ratio == "1.0", "to itself"


def test_scripts_of_the_benchmark_on_a_gpu(here: Path) -> None:
    assert run(here, GPUS) == "[1.0, 2.0]\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_each_can_be_imported(here: Path, name: str) -> None:
    run(here, f"import {name}")
