"""Damage to the record, at every byte: cut off, reported, or harmless, and never a silent loss."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from candle_hpo.core.errors import RecordError
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Failure, FailureKind, Outcome, Place, Status
from candle_hpo.record.events import AnyEvent, CampaignStarted, CampaignStopped, TrialFinished, TrialStarted
from candle_hpo.record.history import History
from candle_hpo.record.log import RecordFile, read_events
from candle_hpo.record.record import Record
from support.attempts import attempt_at


def trial_events(number: int) -> list[AnyEvent]:
    trial = attempt_at(number, {"x": number / 7, "text": 'ü\n"', "list": [1, None]})
    if number % 3:
        outcome = Outcome(Status.COMPLETED, {THE_VALUE: number / 3, "accuracy": 0.5}, None, 2.5, Place("host", 1))
    else:
        outcome = Outcome(
            Status.FAILED,
            {},
            Failure(FailureKind.EXIT_STATUS, "exit status 1; last output: ValueError"),
            0.5,
            Place("host", 0),
        )
    return [TrialStarted.of(trial, 1e9 + number), TrialFinished.of(trial, outcome, 1e9 + number + 0.5)]


def write_record(path: Path, trials: int) -> list[AnyEvent]:
    record = RecordFile(path)
    events: list[AnyEvent] = [CampaignStarted(1e9, "host", 7, 2)]
    events += [event for number in range(1, trials + 1) for event in trial_events(number)]
    record.append(events)
    record.close()
    return events


@pytest.fixture
def path(here: Path) -> Path:
    return here / "events.jsonl"


def test_torn_at_each_of_its_last_2000_bytes_it_replays_and_continues(path: Path) -> None:
    events = write_record(path, 100)
    data = path.read_bytes()
    lines = data.count(b"\n")
    for cut in range(1, 2001):
        path.write_bytes(data[:-cut])
        whole = lines - data[-cut:].count(b"\n")
        _, *read = read_events(path)
        assert read == events[: whole - 1]
        record = Record(path, Objective(Direction.MINIMIZE))
        record.append([CampaignStopped(2e9, Stop(StopReason.CTRL_C))])
        record.close()
        assert path.read_bytes().count(b"\n") == whole + 1
        assert path.read_bytes().startswith(data[: data.rfind(b"\n", 0, len(data) - cut) + 1])


@pytest.mark.parametrize("mask", [0x01, 0x04, 0x20, 0x80])
def test_a_bit_flipped_anywhere_is_an_error_that_names_the_line_or_changes_nothing(path: Path, mask: int) -> None:
    events = write_record(path, 4)
    data = path.read_bytes()
    refused = 0
    for position in range(len(data) - 1):  # without its last newline: that is a torn last line
        flipped = bytearray(data)
        flipped[position] ^= mask
        path.write_bytes(flipped)
        line = data.count(b"\n", 0, position) + 1
        try:
            _, *read = read_events(path)
        except RecordError as error:
            assert re.match(rf"{re.escape(str(path))}:{line}: ", str(error)), (position, error)
            refused += 1
        else:
            assert read == events, position
    # Harmless are only flips in the name of the checksum's field.
    assert len(data) - 1 - refused <= 4 * data.count(b"\n")


def test_what_the_message_says_saves_all_other_lines(path: Path) -> None:
    events = write_record(path, 10)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = [
        lines[0],
        lines[1],
        lines[2],
        lines[3][:20] + b"\0\0\0" + lines[3][23:],
        *lines[4:8],
        b"\0" * 50 + b"\n",
        *lines[9:],
    ]
    path.write_bytes(b"".join(damaged))
    with pytest.raises(RecordError, match=r":4: the record is damaged here \(and in line 9\)") as error:
        list(read_events(path))
    command = re.search(r"(sed -i.damaged .*?events\.jsonl\S*)", str(error.value))
    assert command
    subprocess.run(["bash", "-c", command[1]], check=True)
    assert path.with_name("events.jsonl.damaged").read_bytes() == b"".join(damaged)
    _, *read = read_events(path)
    assert read == [event for line, event in enumerate(events, start=2) if line not in (4, 9)]


def test_a_damaged_first_line_can_be_repaired(path: Path) -> None:
    events = write_record(path, 2)
    path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":3', 1))
    with pytest.raises(RecordError, match=":1: this is not a record of candle, or its first line is damaged") as error:
        list(read_events(path))
    command = re.search(r"(sed -i.damaged .*) repairs it", str(error.value))
    assert command
    subprocess.run(["bash", "-c", command[1]], check=True)
    _, *read = read_events(path)
    assert read == events


def test_an_event_that_is_missing_is_named_by_its_line(path: Path) -> None:
    write_record(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], *lines[5:]]))
    with pytest.raises(RecordError, match=r"line 5 of the record: it ends attempt 1 at trial number 2, which does not"):
        History(Objective(Direction.MINIMIZE), read_events(path))


def test_a_line_of_100_megabytes_is_an_error_like_any_other(path: Path) -> None:
    write_record(path, 1)
    with path.open("ab") as file:
        file.write(b'{"event":"TrialStarted","id":"' + b"x" * 100_000_000 + b'"}\n')
    with pytest.raises(RecordError, match=r":5: the record is damaged here") as error:
        list(read_events(path))
    assert len(str(error.value)) < 1000


def test_brackets_without_end_are_damage_too(here: Path) -> None:
    path = here / "events.jsonl"
    RecordFile(path).close()
    with path.open("ab") as file:
        file.write(b'{"event":"TrialStarted","hyperparameters":{"x":' + b"[" * 20_000 + b"\n")
    with pytest.raises(RecordError, match=r"events\.jsonl:2: the record is damaged here"):
        list(read_events(path))
