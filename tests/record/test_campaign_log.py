"""campaign.log: what happened to campaigns, a line each, and never in a campaign's way."""

from __future__ import annotations

import logging
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Failure, FailureKind, Outcome, Place, Status
from candle_hpo.record import campaign_log
from candle_hpo.record.campaign_log import log_events, logging_to
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    JobEnd,
    JobEnded,
    JobSubmitted,
    NodeExcluded,
    TrialFinished,
    TrialStarted,
)
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.record import Record
from conftest import Candle, WriteInput
from support.attempts import attempt_at
from support.made_experiments import make_experiment

ENTRY = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\w+) \S+:\d+ ([\w.]+): (.*)")
logger = logging.getLogger("candle_hpo.some.module")


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """As on a full disk: every write to a file fails (Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def entries(path: Path) -> list[tuple[str, str, str]]:
    """Return level, logger and message of each line, each of which has to be one."""
    found = [ENTRY.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(found)
    return [(each[1], each[2], each[3]) for each in found if each]


def test_entries_are_lines_appended_whatever_is_in_them(here: Path) -> None:
    path = here / "campaign.log"
    for message in ("first", "second\nline \x1b[31m\r“ü”"):
        with logging_to(path):
            logger.info(message)
            logger.debug("not this")
            logging.getLogger("parsl.x").info("nor this")
            logging.getLogger("parsl.x").warning("a worker is lost")
    logger.warning("not any more")
    assert entries(path) == [
        ("INFO", "candle_hpo.some.module", "first"),
        ("WARNING", "parsl.x", "a worker is lost"),
        ("INFO", "candle_hpo.some.module", "second line \\x1b[31m\\r“ü”"),
        ("WARNING", "parsl.x", "a worker is lost"),
    ]


@pytest.mark.parametrize(("asked", "shown"), [("debug", 2), ("ERROR", 0), ("nonsense", 0), ("", 0)])
def test_the_level_is_asked_for_by_a_variable(
    here: Path, monkeypatch: pytest.MonkeyPatch, asked: str, shown: int
) -> None:
    monkeypatch.setenv("CANDLE_LOG_LEVEL", asked)
    with logging_to(here / "campaign.log"):
        logger.debug("one")
        logging.getLogger("parsl").info("two")
        logger.critical("at any level")
    assert len(entries(here / "campaign.log")) == shown + 1
    assert logging.getLogger("parsl").level == logging.NOTSET


def test_an_error_that_ends_a_claim_is_logged_with_its_traceback_but_not_the_users_own(here: Path) -> None:
    experiment = Experiment(make_experiment(here / "X000", 3))
    log = here / "X000" / "campaign.log"
    with pytest.raises(InputError), experiment.claim(lambda _: True):
        raise InputError("this is your own")
    assert not log.exists()
    with pytest.raises(MachineError), experiment.claim(lambda _: True):
        raise MachineError("the disk\nis gone")
    first, *rest = log.read_text().splitlines()
    assert first.endswith("the disk is gone")
    assert rest[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize("kind", ["a folder", "a full disk", "no folder"])
def test_a_log_that_cannot_be_written_harms_nothing_and_is_tried_again(
    here: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    path = here / "X000" / "campaign.log"
    if kind == "a folder":
        path.mkdir(parents=True)
    elif kind == "a full disk":
        path.parent.mkdir()
    with logging_to(path):
        with no_file_may_grow() if kind == "a full disk" else pytest.MonkeyPatch.context():
            for _ in range(3):
                logger.warning("lost")
        if kind == "a folder":
            path.rmdir()
        path.parent.mkdir(exist_ok=True)
        logger.warning("written")
    assert [message for *_, message in entries(path)] == ["written"]
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_at_the_end_harms_nothing(here: Path) -> None:
    with no_file_may_grow(), logging_to(here / "campaign.log"):
        logger.warning("lost")
    assert (here / "campaign.log").read_bytes() == b""


def test_its_size_is_bounded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_log, "_MOST_BYTES", 10_000)
    with logging_to(here / "campaign.log"):
        for number in range(1000):
            logger.info("entry %d", number)
    files = sorted(here.iterdir())
    assert [each.name for each in files] == ["campaign.log", "campaign.log.1"]
    assert all(each.stat().st_size <= 10_000 for each in files)
    assert entries(files[0])[-1][2] == "entry 999"


def test_what_happened_at_once_is_one_entry_and_no_line_is_one_trials(here: Path) -> None:
    trials = [attempt_at(number, {"key": "a secret"}) for number in range(1, 1001)]
    lost = Outcome.interrupted("its worker was lost", place=Place("n3", 1))
    secret = Outcome(Status.FAILED, failure=Failure(FailureKind.EXIT_STATUS, "last output: a secret"))
    events: list[AnyEvent] = [
        CampaignStarted(0.0, "n1", 17, 4, "123", ("A100",)),
        *(TrialStarted.of(trial, 0.0) for trial in trials),
        *(TrialFinished.of(trial, Outcome(Status.COMPLETED, {THE_VALUE: 0.5}), 0.0) for trial in trials),
        TrialFinished.of(trials[0], secret, 0.0),
        *(TrialFinished.of(trial, lost, 0.0) for trial in trials[1:6]),
        TrialStarted(0.0, 2, "hpset_00002", 2, {}),
        NodeExcluded(0.0, "n3", "it failed 3 trials"),
        JobSubmitted(0.0, "124"),
        JobEnded(0.0, "122", JobEnd.ENDED, "TIMEOUT"),
        JobEnded(0.0, "123", JobEnd.CAMPAIGN_ENDED),
        CampaignStopped(0.0, Stop(StopReason.ALL_FAILED_ALIKE, 10, last="a secret")),
    ]
    with logging_to(here / "campaign.log"):
        log_events(events)
    assert [(level, message) for level, _, message in entries(here / "campaign.log")] == [
        (
            "WARNING",
            "interrupted at once: trial 2 on n3:1; trial 3 on n3:1; trial 4 on n3:1 and 2 more: its worker was lost",
        ),
        ("INFO", "retried: hpset_00002, attempt 2"),
        ("INFO", "a campaign starts in job 123; workers: 4; GPUs: A100"),
        ("WARNING", "node n3 is out of use: it failed 3 trials"),
        ("INFO", "job 124 was submitted"),
        ("INFO", "job 122 has ended: TIMEOUT"),
        ("INFO", "job 123 has ended: campaign_ended"),
        ("WARNING", "the campaign ends before everything was done: all_failed_alike"),
    ]


def test_notes_are_logged_where_they_are_new_and_not_for_ever(here: Path) -> None:
    record = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    with logging_to(here / "campaign.log"):
        for number in range(1, 151):
            trial = attempt_at(number)
            note = "no warm host" if number <= 20 else f"a note of trial {number}"
            done = Outcome(Status.COMPLETED, {THE_VALUE: 0.5}, place=Place("n1", 1), notes=(note,))
            record.append([TrialStarted.of(trial, 0.0)])
            record.append([TrialFinished.of(trial, done, 0.0)])
    record.close()
    messages = [message for *_, message in entries(here / "campaign.log")]
    assert messages == ["n1:1: no warm host", *(f"n1:1: a note of trial {number}" for number in range(21, 120))]


def test_a_campaign_leaves_its_log_in_the_experiments_folder(write_input: WriteInput, candle: Candle) -> None:
    done = candle("submit-job", write_input(control="nworkers=2"))
    assert done.returncode == 0, done.stdout + done.stderr
    (root,) = (Path.cwd() / "candle_generated_files" / "experiments").iterdir()
    messages = [message for *_, message in entries(ExperimentPaths(root).log)]
    assert messages == ["a campaign starts in no job; workers: 2", "the campaign ends"]
    assert candle("resume", CANDLE_LOG_LEVEL="DEBUG").returncode == 0
    assert messages == [message for *_, message in entries(ExperimentPaths(root).log)][:2]
