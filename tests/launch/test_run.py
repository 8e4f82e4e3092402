"""One trial on a worker: what it finds, how each way of ending is reported, what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.launch.command import PYTHON_HOST, model_command, seed_of_trial
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process import group
from candle_hpo.process.group import StopSwitch
from conftest import gone
from support.attempts import attempt_at, stopped_when_it_prints


class Runner:
    """Runs trials of a script in an experiment's folder."""

    def __init__(self, here: Path, warm: bool) -> None:
        self._is_warm, self._hosts = warm, list[WarmHost]()
        self.script = here / "model.py"
        self.paths = ExperimentPaths(here / "X000")
        self.paths.runs.mkdir(parents=True, exist_ok=True)
        self.switch = StopSwitch(grace=0.3)

    def __call__(self, script: str, attempt: int = 1, **settings: object) -> Outcome:
        self.script.write_text(textwrap.dedent(script))
        control = Settings(model_script=str(self.script), workflow="grid", **settings)  # type: ignore[arg-type]
        model = model_command(control, sys.executable, seed=5, experiment=self.paths.root)
        trial = attempt_at(3, {"x": 1}, id="hpset_00004", attempt=attempt)
        if self._is_warm and not self._hosts:
            self.paths.root.mkdir(exist_ok=True)
            self._hosts.append(WarmHost(model))
        warm = self._hosts[0] if self._is_warm else None
        outcome = run_attempt(
            model, trial, self.paths.trial(trial.trial.id), {"CUDA_VISIBLE_DEVICES": "1"}, self.switch, warm=warm
        )
        fresh = ("Each trial starts a fresh interpreter, because the line prepare changes what its imports may find, ",)
        assert all(note.startswith(fresh) and "export" in str(settings["prepare"]) for note in outcome.notes)
        return outcome

    def close(self) -> None:
        for host in self._hosts:
            host.close()

    @property
    def folder(self) -> Path:
        return self.paths.trial("hpset_00004").run

    @property
    def output(self) -> str:
        return (self.folder / "subprocess_out_and_err.txt").read_text()


@pytest.fixture(params=["cold", "warm"])
def run(here: Path, request: pytest.FixtureRequest) -> Iterator[Runner]:
    runner = Runner(here, request.param == "warm")
    yield runner
    runner.close()


def test_a_completed_trial_and_its_folder(run: Runner) -> None:
    outcome = run("print('hello'); val_to_return = 0.1 + 0.2")
    assert (outcome.status, outcome.value_of(THE_VALUE), outcome.reason) == (Status.COMPLETED, 0.1 + 0.2, "")
    assert outcome.seconds > 0
    assert json.loads((run.folder / "params.json").read_text()) == {"x": 1}
    assert (run.folder / "result.txt").read_text() == "0.30000000000000004\n"
    assert json.loads((run.folder / "outcome.json").read_text())["outcome"]["metrics"]["val_to_return"] == 0.1 + 0.2
    assert run.output == "hello\n"


def test_the_environment_of_a_trial(run: Runner) -> None:
    run(
        """
        import json, os
        json.dump({**os.environ, "cwd": os.getcwd()}, open("seen.json", "w"))
        val_to_return = 0
        """,
        nthreads=3,
        supp_pythonpath="/opt/more",
    )
    seen = json.loads((run.folder / "seen.json").read_text())
    root = run.paths.root
    assert seen["CANDLE_TRIAL_ID"] == "hpset_00004"
    assert seen["CANDLE_TRIAL_NUMBER"] == "3"
    assert seen["CANDLE_SEED"] == str(seed_of_trial(5, 3))
    assert seen["CANDLE_PARAMS_FILE"] == str(run.folder / "params.json")
    assert seen["CANDLE_EXPERIMENT_DIR"] == str(root)
    assert seen["CANDLE_CHECKPOINT_DIR"] == str(root / "checkpoints" / "hpset_00004")
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"
    assert seen["PYTHONPATH"].endswith("/opt/more")
    assert seen["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS", "3")
    assert seen["cwd"] == str(run.folder)


def test_seeds_differ_between_trials_and_not_between_runs() -> None:
    seeds = {seed_of_trial(1, number) for number in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of_trial(1, 7) == seed_of_trial(1, 7) != seed_of_trial(2, 7)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise ValueError('too deep')", "exit status 1; last output: ValueError: too deep (model.py, line 1)"),
        (
            "raise RuntimeError('CUDA error: assert triggered\\nSearch for it\\nCompile so')",
            "exit status 1; last output: RuntimeError: CUDA error: assert triggered (model.py, line 1) / Compile so",
        ),
        ("import sys; sys.exit(3)", "exit status 3"),
        ("print('said'); val_to_return = 1; import sys; sys.exit(3)", "exit status 3; last output: said"),
        ("pass", "it ended without a value; leave a number in the global variable val_to_return"),
        ("val_to_return = float('nan')", "val_to_return is nan, not a finite number"),
        ("val_to_return = -float('inf')", "val_to_return is -inf, not a finite number"),
        ("val_to_return = 10**400", "val_to_return is 100000000000"),
        ("val_to_return = 'low'", "val_to_return is 'low' (str), not a number"),
        ("import os; os.kill(os.getpid(), 11)", "ended by signal SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal SIGKILL"),
    ],
)
def test_failures_are_reported_as_what_they_are(run: Runner, script: str, reason: str) -> None:
    outcome = run(script)
    assert (outcome.status, outcome.value_of(THE_VALUE)) == (Status.FAILED, None)
    assert outcome.reason.startswith(reason)
    assert not (run.folder / "result.txt").exists()
    assert json.loads((run.folder / "outcome.json").read_text())["outcome"]["status"] == "failed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "reported_result.json holds neither a number nor a JSON object"),
        ("{", "reported_result.json holds neither a number nor a JSON object: {"),
        ("1,5", "reported_result.json holds neither a number nor a JSON object: 1,5"),
        ("1_000", "reported_result.json holds neither a number nor a JSON object: 1_000"),
        ("0.5\n0.4", "reported_result.json holds neither a number nor a JSON object: 0.5 / 0.4"),
        ('{"val_to_return": 1, "val_to_return": 2}', "val_to_return is there 2 times (1, 2), not a number"),
        ('{"val_to_return": "1,5"}', "val_to_return is 1,5, not a number"),
        (
            '{"loss": 1, "accuracy": 2}',
            "reported_result.json holds no val_to_return (it has: accuracy, loss); objectives names what is optimized",
        ),
        ("[1]", "val_to_return is [1], not a number"),
        ("1" * 400, "val_to_return is inf, not a finite number"),
        ("[" * 100_000, f"reported_result.json holds neither a number nor a JSON object: {'[' * 199}…"),
    ],
)
def test_what_another_program_may_report(run: Runner, text: str, reason: str) -> None:
    outcome = run(f"import os\nopen(os.environ['CANDLE_RESULT_FILE'], 'w').write({text!r})")
    assert (outcome.status, outcome.reason) == (Status.FAILED, reason)


@pytest.mark.parametrize("text", ["4", " 4.0\n", '{"val_to_return": 4, "accuracy": 0.5}'])
def test_a_number_or_an_object_is_a_value(run: Runner, text: str) -> None:
    assert run(f"import os\nopen(os.environ['CANDLE_RESULT_FILE'], 'w').write({text!r})").value_of(THE_VALUE) == 4.0


@pytest.mark.parametrize(
    "value",
    [
        "numpy.ma.masked_invalid([numpy.nan]).mean()",
        "numpy.timedelta64(5, 'ns')",
        "numpy.datetime64('2026-01-01', 'ns')",
    ],
)
def test_what_numpy_can_only_make_a_number_of_is_none(run: Runner, value: str) -> None:
    outcome = run(f"import numpy\nval_to_return = {value}")
    assert outcome.status is Status.FAILED and "not a number" in outcome.reason


def test_the_value_is_that_of_the_process_that_began(run: Runner) -> None:
    script = "import os, sys\nif os.fork() == 0:\n    val_to_return = 99\n    sys.exit(0)\nos.wait()\n"
    assert "it ended without a value" in run(script).reason
    assert run(script + "val_to_return = 1").value_of(THE_VALUE) == 1


def test_a_script_may_empty_its_environment(run: Runner) -> None:
    assert run("import os; os.environ.clear(); val_to_return = 1").value_of(THE_VALUE) == 1


def test_an_earlier_attempt_leaves_no_result_but_its_output(run: Runner) -> None:
    assert run("print('first'); val_to_return = 1").status is Status.COMPLETED
    assert run("print('second')", attempt=2).status is Status.FAILED
    assert not (run.folder / "result.txt").exists()
    assert run.output == "second\n"
    assert (run.folder / "subprocess_out_and_err.attempt_1.txt").read_text() == "first\n"


def test_prepare_runs_in_the_run_folder_and_its_exports_stay(run: Runner) -> None:
    script = "import os; val_to_return = len(os.listdir('results')) + int(os.environ['FROM_PREPARE'])"
    outcome = run(script, prepare="mkdir -p results && touch results/a; export FROM_PREPARE=41")
    assert outcome.value_of(THE_VALUE) == 42


@pytest.mark.parametrize("prepare", ["false", "exit 7", "no_such_program", "if"])
def test_a_failing_prepare_is_the_reason(run: Runner, prepare: str) -> None:
    outcome = run("val_to_return = 1", prepare=prepare)
    assert outcome.status is Status.FAILED
    assert outcome.value_of(THE_VALUE) is None
    assert re.search(r"exit status (1|2|7|127)", outcome.reason)


def test_a_process_that_a_trial_leaves_behind_is_ended(run: Runner) -> None:
    outcome = run(
        """
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        print(child.pid)
        child.returncode = 0   # the script forgets it
        val_to_return = 1
        """
    )
    assert outcome.value_of(THE_VALUE) == 1
    assert gone(int(run.output))


@pytest.mark.parametrize("ignores", [False, True])
def test_trial_timeout_ends_the_whole_group(run: Runner, ignores: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "GRACE_SECONDS", 0.3)
    outcome = run(
        f"""
        import signal, subprocess, time
        if {ignores}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen(["sleep", "600"]).pid)
        time.sleep(600)
        """,
        trial_timeout=1,
    )
    assert outcome.status is Status.TIMED_OUT
    assert outcome.reason.startswith("it ran longer than trial_timeout")
    assert gone(int(run.output.split()[0]))


@pytest.mark.parametrize("ignores", [False, True])
def test_stopping_ends_the_whole_group_and_says_so(run: Runner, ignores: bool) -> None:
    with stopped_when_it_prints(run.folder / "subprocess_out_and_err.txt", run.switch):
        outcome = run(
            f"""
            import signal, subprocess, time
            if {ignores}:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(subprocess.Popen(["sleep", "600"]).pid)
            time.sleep(600)
            """
        )
    assert (outcome.status, outcome.reason) == (Status.INTERRUPTED, "stopped while it ran")
    assert gone(int(run.output.split()[0]))


def test_a_trial_that_ignores_that_it_is_stopped_early_is_ended(run: Runner) -> None:
    with stopped_when_it_prints(run.folder / "subprocess_out_and_err.txt", run.switch, StopHow.PURPOSE):
        outcome = run(
            """
            import os, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(os.getpid())
            time.sleep(600)
            """
        )
    assert outcome.status is Status.STOPPED
    assert gone(int(run.output.split()[0]))


def test_what_starts_after_the_stop_is_stopped_too(run: Runner) -> None:
    run.switch.stop()
    assert run("import time; time.sleep(600)").status is Status.INTERRUPTED
    run.switch.close()


@pytest.mark.parametrize("value", ["val_to_return = 5", ""])
def test_a_value_from_the_middle_of_a_stopped_training_is_none(run: Runner, value: str) -> None:
    def stop_when_it_runs() -> None:
        while not (run.folder / "ready").exists():
            time.sleep(0.01)
        run.switch.stop()

    thread = threading.Thread(target=stop_when_it_runs)
    thread.start()
    outcome = run(
        f"""
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        {value}
        open("ready", "w")
        time.sleep(600)
        """
    )
    thread.join()
    run.switch.close()
    assert (outcome.status, outcome.value_of(THE_VALUE)) == (Status.INTERRUPTED, None)


def test_what_failed_by_itself_before_the_stop_has_failed(run: Runner) -> None:
    assert run("import sys; sys.exit(3)").status is Status.FAILED
    run.switch.stop()
    run.switch.close()


@pytest.mark.parametrize("error", [OSError(38, "Function not implemented"), AttributeError("macOS")])
def test_a_system_without_pidfd_waits_all_the_same(
    run: Runner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(pid: int) -> int:
        raise error

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert run("val_to_return = 1").value_of(THE_VALUE) == 1
    monkeypatch.setattr(group, "GRACE_SECONDS", 0.3)
    assert run("import time; time.sleep(600)", trial_timeout=1).status is Status.TIMED_OUT


def test_a_timeout_of_a_month_is_one(run: Runner) -> None:
    assert run("val_to_return = 1", trial_timeout=30 * 86_400).value_of(THE_VALUE) == 1


def test_what_the_model_calls_as_we_do_is_kept(run: Runner) -> None:
    outcome = run("open('result.txt', 'w').write('mine'); import os; os.mkdir('outcome.json'); val_to_return = 1")
    assert outcome.value_of(THE_VALUE) == 1
    assert (run.folder / "result.of_model.txt").read_text() == "mine"
    assert (run.folder / "outcome.of_model.json").is_dir()
    assert (run.folder / "result.txt").read_text() == "1.0\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can end a process with its parent")
def test_a_model_dies_with_its_worker(here: Path) -> None:
    """However the worker ends: here, by SIGKILL."""
    (here / "model.py").write_text("import os, time; print(os.getpid(), file=open('pid', 'w')); time.sleep(600)")
    (here / "params.json").write_text("{}")
    command = [sys.executable, str(PYTHON_HOST), "model.py"]
    worker = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"],
        env={**os.environ, "CANDLE_PARAMS_FILE": "params.json", "CANDLE_RESULT_FILE": "result.json"},
    )
    deadline = time.monotonic() + 20
    while not (here / "pid").exists() or not (here / "pid").read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker.kill()
    worker.wait()
    assert gone(int((here / "pid").read_text()))


def test_a_reason_has_no_control_characters(run: Runner) -> None:
    outcome = run("import sys; print('\\x1b[31mred\\x07', file=sys.stderr); sys.exit(1)")
    assert outcome.reason == "exit status 1; last output: red"
