"""The record: what is appended is there, what is torn is cut, what is damaged is reported, and it replays."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from candle_hpo.core.errors import RecordError
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Failure, FailureKind, Outcome, Status
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    JobEnd,
    JobEnded,
    JobSubmitted,
    TrialFinished,
    TrialStarted,
)
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import JobHistory
from candle_hpo.record.log import RecordFile, read_events
from candle_hpo.record.record import Record
from candle_hpo.record.tail import RecordTail
from support.attempts import attempt_at

DATA = Path(__file__).parents[1] / "support" / "data"


def started(number: int, attempt: int = 1) -> TrialStarted:
    return TrialStarted.of(attempt_at(number, {"x": number, "s": "ü\n"}, attempt=attempt), 10.0 + number)


def finished(number: int, value: float | None, attempt: int = 1, status: Status = Status.FAILED) -> TrialFinished:
    outcome = (
        Outcome(Status.COMPLETED, {THE_VALUE: value}, None, 2.0)
        if value is not None
        else Outcome(status, {}, Failure(FailureKind.NO_VALUE, "why"), 2.0)
    )
    return TrialFinished.of(started(number, attempt).begun, outcome, 20.0 + number)


EVENTS: list[AnyEvent] = [
    CampaignStarted(1.0, "host", 7, 2),
    started(1),
    started(2),
    finished(2, 0.5),
    finished(1, None),
    CampaignStopped(30.0),
]


def write(path: Path, events: list[AnyEvent]) -> None:
    record = RecordFile(path)
    record.append(events)
    record.close()


def test_events_come_back_as_they_were(here: Path) -> None:
    write(here / "events.jsonl", EVENTS)
    _, *events = read_events(here / "events.jsonl")
    assert events == EVENTS
    assert (here / "events.jsonl").read_text().startswith('{"event":"RecordHeader","version":2,"format":"candle')


def test_a_record_torn_at_any_byte_replays_to_its_last_whole_event(here: Path) -> None:
    write(here / "whole.jsonl", EVENTS)
    data = (here / "whole.jsonl").read_bytes()
    torn = here / "torn.jsonl"
    for size in range(len(data) + 1):
        torn.write_bytes(data[:size])
        assert len(list(read_events(torn))) == data[:size].count(b"\n")
        record = RecordFile(torn)
        record.append([CampaignStopped(99.0, Stop(StopReason.CTRL_C))])
        record.close()
        *_, last = read_events(torn)
        assert last == CampaignStopped(99.0, Stop(StopReason.CTRL_C))
        assert torn.read_bytes().startswith(data[: data.rfind(b"\n", 0, size) + 1])


def test_a_damaged_line_is_named(here: Path) -> None:
    path = here / "events.jsonl"
    write(path, EVENTS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b'{"event":"Trial\n', *lines[4:]]))
    with pytest.raises(RecordError, match=r"events\.jsonl:4: the record is damaged here"):
        list(read_events(path))


def test_a_value_without_completion_is_damage(here: Path) -> None:
    path = here / "events.jsonl"
    write(path, EVENTS)
    lines = path.read_text().replace('"status":"completed"', '"status":"failed"').splitlines()
    texts = [line[: line.rindex(',"crc"')] for line in lines]
    path.write_text("".join(f'{text},"crc":"{zlib.crc32(text.encode()):08x}"}}\n' for text in texts))
    with pytest.raises(RecordError, match=r"events\.jsonl:5: the record is damaged here: .*if and only if"):
        list(read_events(path))


def test_a_line_without_a_checksum_is_damage(here: Path) -> None:
    path = here / "events.jsonl"
    write(path, EVENTS)
    header, *lines = path.read_text().splitlines(keepends=True)
    repaired = re.sub(r',"crc":"\w+"', "", header)
    path.write_text("".join([repaired, *lines]))
    assert len(list(read_events(path))) == len(EVENTS) + 1
    path.write_text("".join([repaired, re.sub(r',"crc":"\w+"', "", lines[0]), *lines[1:]]))
    with pytest.raises(RecordError, match=r"events\.jsonl:2: the record is damaged here: it has no checksum"):
        list(read_events(path))


def test_a_newer_version_is_refused_by_name(here: Path) -> None:
    path = here / "events.jsonl"
    path.write_text('{"event":"RecordHeader","version":3,"format":"candle record"}\n')
    with pytest.raises(RecordError, match="the record is of version 3, which a newer candle wrote, and this one reads"):
        list(read_events(path))


def test_another_file_is_not_a_record(here: Path) -> None:
    path = here / "events.jsonl"
    path.write_text('{"some": "json"}\n')
    with pytest.raises(RecordError, match=r"events\.jsonl:1: this is not a record of candle"):
        list(read_events(path))


def test_a_record_of_the_first_version_is_refused_with_what_to_do(here: Path) -> None:
    """Its trials count from 0: read as of today, each would be another one's."""
    path = here / "record_version_1.jsonl"
    path.write_bytes((DATA / path.name).read_bytes())
    ways_to_read: list[Callable[[], object]] = [
        lambda: list(read_events(path)),
        lambda: RecordTail(path).read(),
        lambda: Record(path, Objective(Direction.MINIMIZE)),
    ]
    for read in ways_to_read:
        with pytest.raises(
            RecordError, match=r"1\.jsonl:1: the record is of version 1, which an earlier candle wrote.*"
        ):
            read()
    assert path.read_bytes() == (DATA / path.name).read_bytes()


def test_a_record_of_the_second_version_can_be_read() -> None:
    history = History(Objective(Direction.MINIMIZE), read_events(DATA / "record_version_2.jsonl"))
    assert history.counts == {Status.COMPLETED: 2, Status.FAILED: 1, Status.INTERRUPTED: 1}
    assert history.best is not None
    assert history.best.trial.id == "hpset_00003"


def test_an_append_that_fails_leaves_whole_events_only(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = here / "events.jsonl"
    record = RecordFile(path)
    before = path.read_bytes()
    real_write = os.write

    def ten_bytes_and_no_more(descriptor: int, data: bytes) -> int:
        if path.stat().st_size > len(before):
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data[:10])

    monkeypatch.setattr(os, "write", ten_bytes_and_no_more)
    with pytest.raises(RecordError, match="No space left on device; what is in it is safe: free some space"):
        record.append(EVENTS)
    assert path.read_bytes() == before
    monkeypatch.undo()
    record.append(EVENTS)
    assert len(list(read_events(path))) == 1 + len(EVENTS)


def test_after_a_sync_that_failed_nothing_more_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failed fsync leaves on the disk nobody knows, and a later one that works does not show (fsync(2))."""
    path = here / "events.jsonl"
    record = RecordFile(path)
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    for _ in range(2):
        with pytest.raises(
            RecordError, match="the record cannot be synced to the disk: Input/output error; what is in it"
        ):
            record.append(EVENTS)
        assert path.read_bytes() == before
        monkeypatch.undo()
    record.close()
    write(path, EVENTS)
    assert len(list(read_events(path))) == 1 + len(EVENTS)


def test_the_name_of_a_new_record_is_on_the_disk_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    RecordFile(here / "events.jsonl").close()
    assert sorted(synced) == [False, True]


def test_a_folder_that_is_not_there(here: Path) -> None:
    with pytest.raises(RecordError, match="the record cannot be opened: No such file or directory"):
        RecordFile(here / "gone" / "events.jsonl")
    with pytest.raises(RecordError, match="the record cannot be read: No such file or directory"):
        list(read_events(here / "events.jsonl"))


def test_the_history_adds_up() -> None:
    history = History(Objective(Direction.MINIMIZE), [*EVENTS, started(3)])
    assert history.counts == {Status.COMPLETED: 1, Status.FAILED: 1}
    assert history.ended == 2
    assert list(history.running) == [3]
    assert history.seconds_of_ended == 4.0
    assert history.best is not None
    assert history.best.trial.number == 2
    assert [row.trial.number for row in history.with_failure] == [1]


@pytest.mark.parametrize(("direction", "best"), [(Direction.MINIMIZE, 2), (Direction.MAXIMIZE, 3)])
def test_the_best_is_the_best_in_its_direction(direction: Direction, best: int) -> None:
    values = [3.0, -1.0, 8.0, 8.0]
    events = [
        event for number, value in enumerate(values, start=1) for event in (started(number), finished(number, value))
    ]
    history = History(Objective(direction), events)
    assert history.best is not None
    assert history.best.trial.number == best


def test_a_trial_that_is_attempted_again_counts_once() -> None:
    events: list[AnyEvent] = [
        started(1),
        finished(1, None, status=Status.INTERRUPTED),
        started(1, attempt=2),
    ]
    history = History(Objective(Direction.MINIMIZE), events)
    assert (history.ended, list(history.running)) == (0, [1])
    history.apply(finished(1, 1.0, attempt=2))
    assert history.counts[Status.COMPLETED] == history.ended == 1


def test_what_a_dead_campaign_left_running_was_interrupted() -> None:
    history = History(
        Objective(Direction.MINIMIZE), [CampaignStarted(1.0, "a", 1, 1), started(1), CampaignStarted(9.0, "b", 2, 1)]
    )
    assert history.counts == {Status.INTERRUPTED: 1}
    assert not history.running


@pytest.mark.parametrize(
    "event",
    [finished(5, 1.0), finished(1, 1.0, attempt=2), started(1), JobEnded(9.0, "7", JobEnd.FORGOTTEN)],
    ids=lambda event: type(event).__name__,
)
def test_an_event_that_cannot_follow_is_refused(event: AnyEvent) -> None:
    with pytest.raises(RecordError):
        History(Objective(Direction.MINIMIZE), [started(1), event])


def test_the_jobs_and_which_of_them_may_still_run() -> None:
    history = History(Objective(Direction.MINIMIZE))
    assert history.job is None
    killed, said = JobEnded(9.0, "7", JobEnd.ENDED, "NODE_FAIL"), JobEnded(11.0, "8", JobEnd.CAMPAIGN_ENDED)
    forgotten = JobEnded(15.0, "10", JobEnd.FORGOTTEN)
    steps: list[tuple[AnyEvent, JobHistory]] = [
        (JobSubmitted(1.0, "7"), JobHistory("7")),
        (CampaignStarted(2.0, "host", 1, 1, job="7"), JobHistory("7")),
        (killed, JobHistory("7", killed)),
        (JobSubmitted(10.0, "8"), JobHistory("8", campaigns_before=1)),
        (said, JobHistory("8", said, campaigns_before=1)),
        (CampaignStarted(12.0, "host", 1, 1, job="8"), JobHistory("8", campaigns_before=1)),  # requeued
        (said, JobHistory("8", said, campaigns_before=1)),
        (JobSubmitted(13.0, "9"), JobHistory("9", campaigns_before=2)),
        (JobSubmitted(14.0, "10"), JobHistory("10", campaigns_before=2)),
        (forgotten, JobHistory("10", forgotten, campaigns_before=2)),
    ]
    for event, job in steps:
        history.apply(event)
        assert history.job == job, event
    assert [*history.jobs] == ["7", "8", "9", "10"]
    history.apply(JobSubmitted(16.0, "7"))  # a number that is given again
    assert [*history.jobs] == ["8", "9", "10", "7"]
    assert history.jobs["7"].ended is None


def test_what_is_recorded_of_jobs_does_not_make_a_campaign_longer_that_died_before() -> None:
    history = History(
        Objective(Direction.MINIMIZE), [JobSubmitted(1.0, "7"), CampaignStarted(2.0, "host", 1, 1, job="7")]
    )
    history.apply(JobEnded(900.0, "7", JobEnd.FORGOTTEN))
    history.apply(JobSubmitted(901.0, "8"))
    assert history.campaigns[-1].ended == 2.0


def test_the_record_and_its_history_are_in_step(here: Path) -> None:
    record = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    record.append(EVENTS)
    record.close()
    again = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    assert again.history.counts == record.history.counts
    assert again.history.trials == record.history.trials
    again.close()


_REPLAY = """
import json, sys, time
from pathlib import Path
from candle_hpo.core.objective import Objective
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events

path = Path(sys.argv[1])

def seconds(read):
    began = time.process_time()
    read()
    return time.process_time() - began

def replay():
    assert History(Objective(), read_events(path)).ended == 30_000

def parse():
    assert len([json.loads(line) for line in path.read_bytes().splitlines()]) == 60_001

print(min(seconds(replay) / seconds(parse) for _ in range(5)))
"""


@pytest.mark.slow
def test_30000_trials_replay_about_as_fast_as_their_lines_are_parsed(here: Path) -> None:
    """Which is half a second on the machine of docs/performance.md; a ratio is the same on a slower one.

    In its own process, as users do it: the objects of a process that runs tests are work for its garbage collector.
    """
    path = here / "events.jsonl"
    write(path, [event for number in range(1, 30_001) for event in (started(number), finished(number, float(number)))])
    command = [sys.executable, "-c", _REPLAY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2.0
