"""`workflow="bayesian"` and `"random"`, from the input file to the table of results."""

from __future__ import annotations

import csv
import heapq
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

import msgspec
import pytest

import candle_hpo
from candle_hpo.campaign import Campaign
from candle_hpo.core.experiment import Settings
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.trial import Attempt, Outcome, Status
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.record.events import TrialFinished, TrialStarted
from candle_hpo.record.log import read_events
from candle_hpo.record.record import Record
from candle_hpo.search.parametric import parametric_search
from conftest import Candle, WriteInput
from support.spaces import space_of

SCRIPT = """
    val_to_return = (hyperparams["x"] - 0.3) ** 2 + {"a": 0.1, "b": 0.0}[hyperparams["kind"]] + hyperparams["y"]
"""
SPACE = """
    makeNumericParam("x", lower = 0, upper = 1)
    makeDiscreteParam("kind", values = c("a", "b"))
"""


@pytest.fixture
def write_bayesian(here: Path, write_input: WriteInput) -> Callable[..., Path]:
    """Write an input file with a search of two parameters."""

    def write(
        control: str = "",
        script: str = SCRIPT,
        workflow: str = "bayesian",
        space: str = SPACE,
        budget: str = "max_budget=12\ndesign_size=4",
    ) -> Path:
        path = write_input(script, control=f"{budget}\nseed=3\n{control}", param_space=space)
        path.write_text(path.read_text().replace('workflow="grid"', f'workflow="{workflow}"'))
        return path

    return write


def proposals(root: Path) -> list[dict[str, object]]:
    """Return the hyperparameters of all trials of an experiment, by number."""
    started = [event for event in read_events(root / "events.jsonl") if isinstance(event, TrialStarted)]
    return [event.hyperparameters for event in sorted(started, key=lambda event: event.number) if event.attempt == 1]


EXPERIMENTS = Path("candle_generated_files/experiments")


@pytest.mark.parametrize("workflow", ["bayesian", "random"])
def test_equal_choices_stay_apart_from_the_search_to_the_model(
    candle: Candle, write_input: WriteInput, workflow: str
) -> None:
    script = "val_to_return = float(repr(hyperparams['x']) == '1')"
    choices = '{"name": "x", "type": "categorical", "choices": [1, 1.0]}'
    path = write_input(script, control="max_budget=12\nseed=1\nengine=local", default_model="", param_space=choices)
    path.write_text(path.read_text().replace('"grid"', f'"{workflow}"'))
    done = candle("submit-job", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {trial.value for trial in candle_hpo.load("last-candle-job").trials} == {0.0, 1.0}
    done = candle("resume")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", ["bayesian", "random"])
def test_an_experiment(workflow: str, write_bayesian: Callable[..., Path], candle: Candle, here: Path) -> None:
    done = candle("submit-job", write_bayesian("nworkers=2", workflow=workflow))
    assert done.returncode == 0, done.stderr
    assert "Experiment X000: 12 trials, 2 at a time" in done.stdout
    assert "12 trials: 12 completed" in done.stdout
    assert candle("aggregate-results").returncode == 0
    with (here / "candle_generated_files/candle_results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["result", "dirname", "id", "x", "kind"]
    assert sorted(row["id"] for row in rows) == [f"hpset_{number:05d}" for number in range(1, 13)]
    values = [float(row["result"]) for row in rows]
    assert values == sorted(values)
    for row in rows:
        assert float(row["result"]) == pytest.approx((float(row["x"]) - 0.3) ** 2 + 0.1 * (row["kind"] == "a") + 2)
    assert candle("status").stdout.splitlines()[2] == "12 trials: 12 completed"


def test_the_better_end_is_the_highest_where_it_is_maximized(
    write_bayesian: Callable[..., Path], candle: Candle, here: Path
) -> None:
    done = candle("submit-job", write_bayesian("direction=maximize\nnworkers=2"))
    assert "best first: the highest result" in done.stdout
    candle("aggregate-results")
    with (here / "candle_generated_files/candle_results.csv").open() as file:
        values = [float(row["result"]) for row in csv.DictReader(file)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(0.49 + 0.1 + 2, abs=0.02)
    assert f"best (maximize): {values[0]:.6g}" in candle("status").stdout


def test_the_same_seed_makes_the_same_search(write_bayesian: Callable[..., Path], candle: Candle) -> None:
    source = write_bayesian()
    for _ in range(2):
        assert candle("submit-job", source).returncode == 0
    assert proposals(EXPERIMENTS / "X000") == proposals(EXPERIMENTS / "X001")


def test_killed_and_resumed_it_continues_as_if_nothing_had_happened(
    write_bayesian: Callable[..., Path], candle: Candle, here: Path
) -> None:
    """With one worker, the order of the outcomes is fixed, and so must every proposal be."""
    source = write_bayesian(script=SCRIPT + "    import time; time.sleep(0.05)\n")
    assert candle("submit-job", source).returncode == 0
    whole = proposals(EXPERIMENTS / "X000")
    process = subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", "submit-job", str(source)], cwd=here, stdout=subprocess.DEVNULL
    )
    record = EXPERIMENTS / "X001" / "events.jsonl"
    deadline = time.monotonic() + 60
    while not record.exists() or record.read_text().count("TrialFinished") < 7:
        assert time.monotonic() < deadline, record.read_text() if record.exists() else "no record"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(proposals(EXPERIMENTS / "X001")) < 12
    done = candle("resume")
    assert done.returncode == 0, done.stderr
    assert "12 trials: 12 completed" in done.stdout
    assert proposals(EXPERIMENTS / "X001") == whole


def test_a_larger_budget_continues_an_earlier_experiment(
    write_bayesian: Callable[..., Path], candle: Candle, here: Path
) -> None:
    source = write_bayesian()
    assert candle("submit-job", source).returncode == 0
    source.write_text(source.read_text().replace("max_budget=12", "max_budget=15\nrestart_from_exp=X000"))
    done = candle("submit-job", source)
    assert done.returncode == 0, done.stderr
    assert "X000 keeps its own search space and seed; those of this file are ignored" in done.stdout
    assert "3 trials of 15 left" in done.stdout
    assert len(proposals(EXPERIMENTS / "X000")) == 15
    less = source.read_text().replace("max_budget=15", "max_budget=5")
    (here / "less.in").write_text(less)
    assert "X000: nothing is left to do" in candle("submit-job", "less.in").stdout
    source.write_text(source.read_text().replace('"bayesian"', '"random"'))
    done = candle("submit-job", source)
    assert (done.returncode, done.stderr.strip()) == (
        2,
        'X000 has workflow="bayesian", and this file "random"; to continue it, keep its workflow',
    )


@pytest.mark.parametrize("form", ["X000", "candle_generated_files/candle_results.csv"])
def test_warm_start(form: str, write_bayesian: Callable[..., Path], candle: Candle, here: Path) -> None:
    assert candle("submit-job", write_bayesian(workflow="random")).returncode == 0
    assert candle("aggregate-results").returncode == 0
    done = candle("submit-job", write_bayesian(f"warm_start={form}"))
    assert done.returncode == 0, done.stderr
    assert f"warm_start: the search knows 12 of 12 results in {form}" in done.stdout
    known = here / EXPERIMENTS / "X001" / "earlier_results.jsonl"
    assert len(known.read_text().splitlines()) == 12
    first = [json.dumps(each) for each in proposals(EXPERIMENTS / "X000")]
    second = [json.dumps(each) for each in proposals(EXPERIMENTS / "X001")]
    assert len(set(first) | set(second)) == 24
    # Nothing of a design is left to do: the search learns from the first trial on.
    near = [each for each in proposals(EXPERIMENTS / "X001")[:4] if abs(float(str(each["x"])) - 0.3) < 0.2]
    assert len(near) >= 3


@pytest.mark.parametrize(
    ("control", "status", "message"),
    [
        ("warm_start=X007", 2, "X007 is not an experiment; there is none here"),
        ("warm_start=none.csv", 2, "warm_start: none.csv cannot be read: "),
        (
            "warm_start=other.csv",
            2,
            "warm_start: none of 1 result in other.csv is of this search space (parameters: x",
        ),
        ("warm_start=no.csv", 2, 'warm_start: no.csv has no row with a column "result"'),
        ("sampler=tpee", 2, 'x.in:7: sampler: "tpee" is not a valid value; did you mean "tpe"?'),
    ],
)
def test_what_is_wrong_is_reported_and_nothing_is_made(
    control: str, status: int, message: str, write_bayesian: Callable[..., Path], candle: Candle, here: Path
) -> None:
    (here / "other.csv").write_text("result,dirname,id,x,kind\n1.5,a,a,7,b\n")
    (here / "no.csv").write_text("value,x\n1,2\n")
    write_bayesian(control)
    done = candle("submit-job", "x.in")
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert not (here / "candle_generated_files").exists()


def test_a_table_with_a_parameter_called_like_a_column(
    write_bayesian: Callable[..., Path], candle: Candle, here: Path
) -> None:
    space = """
        makeIntegerParam("seconds", lower = 1, upper = 50)
        makeNumericParam("hyperparameter_q", lower = 0, upper = 1)
        makeDiscreteParam("kind", values = c("1e5", "null", "true"))
    """
    script = "val_to_return = hyperparams['seconds'] + hyperparams['hyperparameter_q']\n"
    assert candle("submit-job", write_bayesian(script=script, space=space, workflow="random")).returncode == 0
    assert candle("aggregate-results").returncode == 0
    done = candle(
        "submit-job",
        write_bayesian("warm_start=candle_generated_files/candle_results.csv", script=script, space=space),
    )
    assert "the search knows 12 of 12 results" in done.stdout, done.stdout + done.stderr
    known = [
        json.loads(line) for line in (here / EXPERIMENTS / "X001" / "earlier_results.jsonl").read_text().splitlines()
    ]
    for each in known:
        h = each["hyperparameters"]
        assert each["value"] == h["seconds"] + h["hyperparameter_q"]
        assert set(h) == {"y", "seconds", "hyperparameter_q", "kind"}


def test_nothing_is_left_of_a_known_space(write_bayesian: Callable[..., Path], candle: Candle, here: Path) -> None:
    space = 'makeIntegerParam("x", lower = 1, upper = 6)\nmakeDiscreteParam("kind", values = "b")'
    assert candle("submit-job", write_bayesian(space=space)).stdout.count("6 trials: 6 completed") == 1
    done = candle("submit-job", write_bayesian("warm_start=X000", space=space))
    assert done.returncode == 2
    assert "nothing is left to try: warm_start knows every point of this search space" in done.stderr


def test_notes(write_bayesian: Callable[..., Path], candle: Candle) -> None:
    done = candle("submit-job", write_bayesian("nworkers=4\npropose_points=1\ndry_run=1"))
    assert "propose_points=1: 3 of 4 workers have nothing to do after the first design_size trials" in done.stdout
    assert "12 trials, 4 at a time, minimize\nFirst sets:\n  hpset_00001 {" in done.stdout
    assert "  hpset_00003 {" in done.stdout
    done = candle("submit-job", write_bayesian("nworkers=2\ndry_run=1", budget="max_budget=500\ndesign_size=20"))
    assert (
        "max_iterations=10 ends the search at 120 trials, before max_budget=500; max_iterations=48 reaches that"
        in done.stdout
    )
    done = candle("submit-job", write_bayesian("dry_run=1", budget="max_budget=8"))
    assert "all 8 trials are points spread over the space (design_size=10), and nothing is learned" in done.stdout
    done = candle("submit-job", write_bayesian("sampler=tpe\ndry_run=1", workflow="random"))
    assert "design_size, sampler: no effect on a random search" in done.stdout


def test_without_its_package_a_sampler_is_refused(
    write_bayesian: Callable[..., Path], candle: Candle, here: Path
) -> None:
    (here / "hidden").mkdir()
    (here / "hidden" / "sitecustomize.py").write_text("import sys; sys.modules['cmaes'] = None")
    done = candle("submit-job", write_bayesian("sampler=cmaes"), PYTHONPATH=str(here / "hidden"))
    assert done.returncode == 3
    assert 'sampler="cmaes" needs the package cmaes, which is not installed with candle' in done.stderr
    assert not (here / "candle_generated_files").exists()
    assert candle("submit-job", write_bayesian()).returncode == 0
    done = candle(
        "submit-job",
        write_bayesian("sampler=cmaes\nrestart_from_exp=X000", budget="max_budget=14"),
        PYTHONPATH=str(here / "hidden"),
    )
    assert (done.returncode, "needs the package cmaes" in done.stderr) == (3, True)
    assert candle("resume", PYTHONPATH=str(here / "hidden")).returncode == 0  # with the sampler that it had


def test_another_sampler(write_bayesian: Callable[..., Path], candle: Candle) -> None:
    done = candle("submit-job", write_bayesian("sampler=tpe\nproposals=batch\npropose_points=4\nnworkers=4"))
    assert done.returncode == 0, done.stderr
    assert "12 trials: 12 completed" in done.stdout
    running: set[int] = set()
    for event in read_events(EXPERIMENTS / "X000" / "events.jsonl"):
        if isinstance(event, TrialStarted):
            before = {number for number in running if number <= (event.number - 1) // 4 * 4}
            assert event.number <= 4 or not before, f"trial {event.number} began while {before} of another batch ran"
            running.add(event.number)
        elif isinstance(event, TrialFinished):
            running.remove(event.number)


class SimulatedPool(Executor):
    """Workers on a clock that is only counted: trials end in the order of their simulated ends, one each `advance`."""

    def __init__(self, lengths: list[float]) -> None:
        self._lengths = lengths
        self._running: list[tuple[float, int, Future[Outcome]]] = []
        self.now = 0.0
        self.spans: list[tuple[float, float]] = []

    def submit(self, function: Callable[..., Outcome], /, *args: object, **kwargs: object) -> Future[Outcome]:  # type: ignore[override]
        (attempt,) = args
        assert isinstance(attempt, Attempt)
        future: Future[Outcome] = Future()
        end = self.now + self._lengths[attempt.trial.number - 1]
        self.spans.append((self.now, end))
        heapq.heappush(self._running, (end, attempt.trial.number, future))
        return future

    def advance(self) -> None:
        if self._running:
            self.now, number, future = heapq.heappop(self._running)
            future.set_result(Outcome(Status.COMPLETED, {THE_VALUE: float(number % 7)}, seconds=1.0))


def busy_share(proposals: str, here: Path) -> float:
    """Return how busy eight workers are between the first and the last proposal of 100 trials."""
    lengths = [random.Random(number).lognormvariate(0.0, 0.7) for number in range(100)]
    pool = SimulatedPool(lengths)
    plain = Settings(model_script="/m.py", workflow="bayesian", nworkers=8, propose_points=8, max_budget=100)
    settings = msgspec.structs.replace(plain, proposals=proposals, max_iterations=100)
    search = parametric_search(space_of(SPACE), settings, seed=1)
    record = Record(here / f"{proposals}.jsonl", Objective(Direction.MINIMIZE))
    Campaign(
        search, PooledEngine(pool, lambda _: pytest.fail(), 8, lambda *_: None), record, FailurePolicy(), pool.advance
    ).run()
    assert record.history.counts == {Status.COMPLETED: 100}
    last = max(begin for begin, _ in pool.spans)
    busy = sum(min(end, last) - begin for begin, end in pool.spans)
    return busy / (8 * last)


def test_no_worker_waits_for_a_batch_to_end(here: Path) -> None:
    assert busy_share("asynchronous", here) > 0.98
    assert busy_share("batch", here) < 0.75


def test_the_template(candle: Candle, here: Path) -> None:
    assert candle("import-template", "bayesian").stdout.split() == ["bayesian_example.in", "breast_cancer_boosting.py"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = candle("submit-job", "bayesian_example.in", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 trials: 40 completed" in done.stdout
    assert "best (maximize): 0.9" in done.stdout
