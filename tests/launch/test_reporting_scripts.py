"""Model scripts that report on their way, in every language and unedited; each is stopped after its third report."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from candle_hpo.core.experiment import NO_PRELOAD, Settings
from candle_hpo.core.news import Ended, News, Reported
from candle_hpo.core.paths import ExperimentPaths, TrialPaths
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Report, Status
from candle_hpo.engine.local import LocalPool, local_runner
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.engine.workers import Worker
from candle_hpo.launch.command import model_command
from candle_hpo.launch.interpreter import find_interpreter
from conftest import gone
from support.attempts import attempt_at

pytestmark = pytest.mark.slow

HANG_SECONDS = 120
PATTERN = r"epoch (?P<epoch>\d+)/9: loss (?P<val_to_return>\S+), accuracy (?P<accuracy>\S+)"

SAVE = """
    import os, signal, subprocess, sys, time
    def save(*_):
        os.makedirs(os.environ["CANDLE_CHECKPOINT_DIR"])
        open(os.environ["CANDLE_CHECKPOINT_DIR"] + "/saved", "w").close()
        sys.exit()
    signal.signal(signal.SIGTERM, save)
    with open("processes", "w") as file:
        print(os.getpid(), subprocess.Popen(["sleep", "600"]).pid, file=file)
    for step in range(1, 4):
"""
WAIT = "\n    time.sleep(600)\n"


class Speech(NamedTuple):
    """A script that reports step / 4 and an accuracy for steps 1 to 3, and waits; when ended, it saves."""

    script: str
    text: str
    settings: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it
    needs: str = sys.executable


C_TEXT = r"""
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/stat.h>
    #include <unistd.h>
    static void save(int number) {
        char path[4096];
        mkdir(getenv("CANDLE_CHECKPOINT_DIR"), 0777);
        snprintf(path, sizeof path, "%s/saved", getenv("CANDLE_CHECKPOINT_DIR"));
        fclose(fopen(path, "w"));
        _exit(0);
    }
    int main(void) {
        signal(SIGTERM, save);
        FILE *file = fopen("processes", "w");
        int child = fork();
        if (!child) { signal(SIGTERM, SIG_DFL); sleep(600); _exit(0); }
        fprintf(file, "%d %d\n", getpid(), child);
        fclose(file);
        file = fopen(getenv("CANDLE_REPORTS_FILE"), "a");
        for (int step = 1; step < 4; step++) {
            fprintf(file, "{\"iteration\": %d, \"val_to_return\": %g, ", step, step / 4.0);
            fprintf(file, "\"accuracy\": %d}\n", 10 * step);
            fflush(file);
        }
        sleep(600);
    }
"""
R_TEXT = """
    dir.create(Sys.getenv("CANDLE_CHECKPOINT_DIR"))
    writeLines(paste(Sys.getpid(), system("sleep 600 > /dev/null & echo $!", intern = TRUE)), "processes")
    file.create(file.path(Sys.getenv("CANDLE_CHECKPOINT_DIR"), "saved")) # R has no handlers of signals
    for (step in 1:3) candle_report(step / 4, step = step, accuracy = 10L * step)
    Sys.sleep(600)
"""
BASH_TEXT = """
    set -eu
    trap 'mkdir "$CANDLE_CHECKPOINT_DIR"; touch "$CANDLE_CHECKPOINT_DIR/saved"; exit 0' TERM
    sleep 600 &
    echo "$$ $!" > processes
    candle_report 0.25 1 accuracy=10
    bash -c 'candle_report step=2 val_to_return=.5 accuracy=20'
    echo 3 | while read -r step; do candle_report 0.75 "$step" accuracy=30; done
    wait
"""
SPEECHES = {
    "Python": Speech(
        "model.py",
        SAVE + "        candle_report(step / 4, step=step, accuracy=10 * step)" + WAIT,
        {"preload": NO_PRELOAD},
    ),
    "Python, warm": Speech("model.py", SAVE + "        candle_report(step / 4, epoch=step, accuracy=10 * step)" + WAIT),
    "R": Speech("model.R", R_TEXT, needs="Rscript"),
    "bash": Speech("model.sh", BASH_TEXT, needs="bash"),
    "C": Speech("model", C_TEXT, needs="cc"),
    "unedited": Speech(
        "model.py",
        SAVE + '        print(f"epoch {step}/9: loss {step / 4}, accuracy {10 * step}", flush=True)' + WAIT,
        {"result_pattern": PATTERN},
    ),
    "unedited, with a table": Speech(
        "model.py",
        SAVE.replace("for step", 'print("epoch,accuracy,val_to_return", file=open("log.csv", "w"))\n    for step')
        + '        print(f"{step},{10 * step},{step / 4}", file=open("log.csv", "a"))'
        + WAIT,
        {"result_file": "log.csv", "result_key": "val_to_return"},
    ),
}


class Campaign:
    """Hears what an engine with one worker of this machine has to say."""

    def __init__(self, here: Path, speech: Speech) -> None:
        self.script, self.paths = here / speech.script, ExperimentPaths(here / "X000")
        self.paths.runs.mkdir(parents=True)
        self.trial.checkpoint.parent.mkdir()
        text = textwrap.dedent(speech.text)
        if speech.needs == "cc":
            self.script.with_suffix(".c").write_text(text)
            subprocess.run(["cc", "-w", "-o", self.script, self.script.with_suffix(".c")], check=True)
        else:
            self.script.write_text(text)
        settings = Settings(model_script=str(self.script), workflow="grid", **speech.settings)
        model = model_command(settings, find_interpreter(settings, ()).path, seed=5, experiment=self.paths.root)
        self.pool = LocalPool([Worker(0, {})])
        self.engine = PooledEngine(self.pool, local_runner(self.pool, model, self.paths), 1, self.pool.stop)
        self.pool.report_to(self.engine.report)
        self._heard: list[News] = []
        self.engine.news(0)

    def hear(self, kind: type[News], count: int = 1) -> list[Any]:
        """Return the next news, which are of this kind."""
        while len(self._heard) < count:
            news = self.engine.news(HANG_SECONDS)
            assert news, self.trial.output.read_text()
            self._heard += news
        found, self._heard = self._heard[:count], self._heard[count:]
        assert all(isinstance(each, kind) for each in found), (found, self.trial.output.read_text())
        return found

    @property
    def trial(self) -> TrialPaths:
        return self.paths.trial("hpset_00001")


@contextmanager
def campaign_with(here: Path, speech: Speech) -> Iterator[Campaign]:
    if shutil.which(speech.needs) is None:
        pytest.skip(f"this needs {speech.needs} (Debian: apt-get install r-base-core gcc)")
    campaign = Campaign(here, speech)
    try:
        yield campaign
    finally:
        campaign.engine.stop(None, StopHow.INTERRUPT)
        campaign.pool.shutdown()


@pytest.mark.parametrize("language", SPEECHES)
def test_reports_are_news_and_a_trial_is_stopped_after_its_third_one(here: Path, language: str) -> None:
    with campaign_with(here, SPEECHES[language]) as campaign:
        attempt = attempt_at(1)
        campaign.engine.start(attempt)
        reports = campaign.hear(Reported, 3)
        expected = [Report(step, {"val_to_return": step / 4, "accuracy": 10 * step}) for step in (1, 2, 3)]
        assert reports == [Reported(attempt, report) for report in expected]
        campaign.engine.stop(attempt, StopHow.PURPOSE)
        (ended,) = campaign.hear(Ended)
    assert (ended.outcome.status, ended.outcome.last_report) == (Status.STOPPED, expected[-1])
    assert (ended.outcome.notes, len(campaign.trial.reports.read_text().splitlines())) == ((), 3)
    assert (campaign.trial.checkpoint / "saved").exists(), campaign.trial.output.read_text()
    assert gone(*map(int, (campaign.trial.run / "processes").read_text().split()))


@pytest.mark.parametrize(
    ("end", "status"),
    [("sys.exit(3)", Status.FAILED), ("time.sleep(600)", Status.TIMED_OUT), ("val_to_return = 1", Status.COMPLETED)],
)
def test_an_outcome_has_the_last_report_however_it_ended(here: Path, end: str, status: Status) -> None:
    text = f"import sys, time\ncandle_report(0.5)\ncandle_report(0.25)\n{end}\n"
    limits = {"trial_timeout": 10} if status is Status.TIMED_OUT else {}
    with campaign_with(here, Speech("model.py", text, limits)) as campaign:
        campaign.engine.start(attempt_at(1))
        assert [each.report.step for each in campaign.hear(Reported, 2)] == [1, 2]
        (ended,) = campaign.hear(Ended)
    assert (ended.outcome.status, ended.outcome.last_report) == (status, Report(2, {"val_to_return": 0.25}))


WRONG = {
    "Python": Speech(
        "model.py",
        """
            candle_report("text"); candle_report(None); candle_report(1, 2, 3); candle_report(0.5, step="four")
            candle_report(True); candle_report([1]); candle_report(); candle_report(object(), step=3, accuracy=0.5)
            import os; os.environ["CANDLE_REPORTS_FILE"] = "/dev/full"; os.closerange(3, 100)
            candle_report(0.25, step=3)
            val_to_return = 1
        """,
    ),
    "R": Speech(
        "model.R",
        """
            candle_report("text"); candle_report(NULL); candle_report(1, 2, 3); candle_report(0.5, step = "four")
            candle_report(TRUE); candle_report(c(1, 2)); candle_report()
            candle_report(list(1), step = 3, accuracy = 0.5)
            Sys.setenv(CANDLE_REPORTS_FILE = "/no/such/folder")
            candle_report(0.25, step = 3)
            val_to_return <- 1
        """,
        needs="Rscript",
    ),
    "bash": Speech(
        "model.sh",
        """
            set -euo pipefail
            candle_report text; candle_report ""; candle_report 1 2 3; candle_report 0.5 four
            candle_report 0x10; candle_report 0,5; candle_report; candle_report a=b c=
            CANDLE_REPORTS_FILE=/no/such/folder; candle_report 0.25 3
            val_to_return=1
        """,
        needs="bash",
    ),
}


@pytest.mark.parametrize("language", WRONG)
def test_what_is_not_a_number_is_said_once_and_the_script_continues(here: Path, language: str) -> None:
    with campaign_with(here, WRONG[language]) as campaign:
        campaign.engine.start(attempt_at(1))
        campaign.hear(Reported, 2 if language != "bash" else 1)
        (ended,) = campaign.hear(Ended)
    assert ended.outcome.status is Status.COMPLETED, ended.outcome
    printed = campaign.trial.output.read_text()
    assert printed.startswith("candle: candle_report: val_to_return is ")
    assert (printed.count("\n"), printed.endswith(", not a number (said once)\n")) == (1, True)


NAMES_ALONE = {
    "Python": Speech(
        "model.py",
        "for step in (1, 2, 3): candle_report(loss=step, acc=1)\ncandle_report(0.5, step=4)\nval_to_return = 2",
    ),
    "R": Speech(
        "model.R",
        "for (step in 1:3) candle_report(loss = step, acc = 1); candle_report(0.5, step = 4); val_to_return <- 2",
        needs="Rscript",
    ),
    "bash": Speech(
        "model.sh",
        "for step in 1 2 3; do candle_report loss=$step acc=1; done; candle_report 0.5 4; val_to_return=2",
        needs="bash",
    ),
}


@pytest.mark.parametrize("language", NAMES_ALONE)
def test_a_script_may_report_its_value_at_some_steps_only(here: Path, language: str) -> None:
    with campaign_with(here, NAMES_ALONE[language]._replace(settings={"stopping": ("asha",)})) as campaign:
        campaign.engine.start(attempt_at(1))
        assert [each.report.value_of("val_to_return") for each in campaign.hear(Reported, 4)] == [None, None, None, 0.5]
        (ended,) = campaign.hear(Ended)
    assert (ended.outcome.status, ended.outcome.value_of("val_to_return")) == (Status.COMPLETED, 2.0)
    assert ended.outcome.notes == ()


HISTORY = "class History:\n    history = dict(loss=[2, 1], val_loss=[4, 3], {})\nhistory = History()"
RETURNED = {
    "Python": Speech("model.py", 'candle_report(loss=1, acc=0.5)\nval_to_return = {"loss": 1, "acc": 0.25}'),
    "Python, at last": Speech("model.py", "candle_report(loss=1, acc=0.25)"),
    "a Keras history": Speech("model.py", HISTORY.format("acc=[0.5, 0.25]") + "\ncandle_report(acc=0.5)"),
    "a Keras history, returned": Speech(
        "model.py", HISTORY.format("acc=[0.5, 0.25]") + "\ncandle_report(acc=0.5); val_to_return = history"
    ),
    "a Keras history without validation": Speech(
        "model.py", "candle_report(acc=0.5)\nhistory = dict(loss=[2, 1], acc=[0.5, 0.25])"
    ),
    "a Keras history without it": Speech("model.py", HISTORY.format("f1=[3]") + "\ncandle_report(loss=1, acc=0.25)"),
    "R": Speech(
        "model.R", "candle_report(loss = 1, acc = .5); val_to_return <- list(loss = 1, acc = 0.25)", needs="Rscript"
    ),
    "bash": Speech("model.sh", "candle_report loss=1 acc=.25", needs="bash"),
}


@pytest.mark.parametrize("language", RETURNED)
def test_what_objectives_names_is_the_value_in_what_is_returned_or_else_reported(here: Path, language: str) -> None:
    with campaign_with(here, RETURNED[language]._replace(settings={"objectives": "acc"})) as campaign:
        campaign.engine.start(attempt_at(1))
        campaign.hear(Reported)
        (ended,) = campaign.hear(Ended)
    assert {name: ended.outcome.metrics[name] for name in ("loss", "acc")} == {"loss": 1, "acc": 0.25}, ended.outcome
    assert "val_to_return" not in ended.outcome.metrics


@pytest.mark.parametrize(("returned", "is_said"), [("0.25", False), ("min(0.5, 0.25)", False), ("0.75", True)])
def test_a_returned_value_that_no_report_of_the_objective_has_is_noted(
    here: Path, returned: str, is_said: bool
) -> None:
    text = f"candle_report(acc=0.25)\ncandle_report(acc=0.5, loss=3)\nval_to_return = {returned}"
    with campaign_with(here, Speech("model.py", text, {"objectives": "acc"})) as campaign:
        campaign.engine.start(attempt_at(1))
        campaign.hear(Reported, 2)
        (ended,) = campaign.hear(Ended)
    assert ended.outcome.value_of("acc") == (0.75 if is_said else 0.25)
    said = "what it returned counts as acc, and is none of the acc that it reported"
    assert ended.outcome.notes == ((said,) if is_said else ())


def test_a_keras_history_without_what_objectives_names_has_no_value(here: Path) -> None:
    with campaign_with(here, Speech("model.py", HISTORY.format("f1=[3]"), {"objectives": "acc"})) as campaign:
        campaign.engine.start(attempt_at(1))
        (ended,) = campaign.hear(Ended)
    assert "holds no acc (it has: f1, loss, val_loss); objectives names" in ended.outcome.reason


def test_numbers_of_libraries_are_numbers_and_what_the_script_defines_wins(here: Path) -> None:
    text = """
        import numpy
        candle_report(numpy.float32(0.5), step=numpy.int64(1), accuracy=numpy.array([0.25]))
        candle_report(value=float("nan"), step=2)
        def candle_report(*_): print("the script's own")
        candle_report(3)
        val_to_return = 1
    """
    with campaign_with(here, Speech("model.py", text, {"preload": NO_PRELOAD})) as campaign:
        campaign.engine.start(attempt_at(1))
        reports = [each.report for each in campaign.hear(Reported, 2)]
        campaign.hear(Ended)
    assert reports == [Report(1, {"val_to_return": 0.5, "accuracy": 0.25}), Report(2, {"val_to_return": None})]
    assert campaign.trial.output.read_text() == "the script's own\n"


def test_processes_that_a_script_starts_report_too(here: Path) -> None:
    text = """
        import multiprocessing
        def work(step):
            candle_report(step / 4, step=step)
        if __name__ == "__main__":
            for step, way in enumerate(("fork", "spawn", "forkserver"), 1):
                process = multiprocessing.get_context(way).Process(target=work, args=(step,))
                process.start()
                process.join()
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                pool.apply(candle_report, (1.0, 4))
            val_to_return = 1
    """
    with campaign_with(here, Speech("model.py", text)) as campaign:
        campaign.engine.start(attempt_at(1))
        assert [each.report.step for each in campaign.hear(Reported, 4)] == [1, 2, 3, 4]
        campaign.hear(Ended)


def test_a_later_attempt_reports_nothing_of_the_one_before(here: Path) -> None:
    text = (
        'import os\ncandle_report(0.5) if not os.path.exists("began") else None\nopen("began", "w")\nval_to_return = 1'
    )
    with campaign_with(here, Speech("model.py", text)) as campaign:
        campaign.engine.start(attempt_at(1))
        campaign.hear(Reported)
        campaign.hear(Ended)
        campaign.engine.start(attempt_at(1, attempt=2))
        (ended,) = campaign.hear(Ended)
    assert ended.outcome.last_report is None
    assert not campaign.trial.reports.exists()


def test_one_place_is_read_and_the_other_is_named(here: Path) -> None:
    text = 'candle_report(7)\nprint("loss: 0.5")'
    with campaign_with(here, Speech("model.py", text, {"result_pattern": r"loss: (\S+)"})) as campaign:
        campaign.engine.start(attempt_at(1))
        (reported,) = campaign.hear(Reported)
        (ended,) = campaign.hear(Ended)
    assert reported.report == ended.outcome.last_report == Report(1, {"val_to_return": 0.5})
    assert ended.outcome.notes == ("what candle_report says is not read where result_pattern or result_file is set",)
    assert campaign.trial.reports_unread.read_text() == '{"val_to_return": 7}\n'
