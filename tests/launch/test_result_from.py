"""Which of several matches, rows or reports is the value: all of them are looked at, and none of another run."""

from __future__ import annotations

import json
import os
import struct
import textwrap
from pathlib import Path

import pytest

from candle_hpo.core.objective import THE_VALUE, Direction, ResultFrom
from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.trial import Report
from candle_hpo.inputfile.keyword_values import KeywordValueError, result_from
from candle_hpo.launch.measuring.event_file import checksum, in_event_files
from candle_hpo.launch.measuring.objective import Measurement, ResultSource
from candle_hpo.launch.measuring.readings import Choice, Measured, Reading, chosen
from candle_hpo.launch.measuring.report_watch import ReportWatch
from conftest import Candle, input_text

LOSS = r"epoch (?P<epoch>\d+): loss (?P<loss>[0-9.]+) acc (?P<acc>\S+)"
EPOCHS = "epoch 1: loss 0.5 acc 0.1\nepoch 2: loss 0.2 acc 0.7\nepoch 3: loss 0.3 acc 0.9\n"
NAMES = {"last": (0.3, 0.9), "best": (0.2, 0.7), "first": (0.5, 0.1), "mean_of_last_2": (0.25, 0.8)}


class Trial:
    """The files of a trial, and how its value is found: `run` writes what the trial does, and finds it."""

    def __init__(self, here: Path, **source: object) -> None:
        self.paths = TrialPaths(here, here / "checkpoint", here / "output.txt")
        self.paths.output.touch()
        which = source.pop("which", None)
        self.source = ResultSource(
            result_from=None if which is None else result_from(str(which)),
            **source,  # type: ignore[arg-type]
        )
        self.here = here

    def run(self, *writes: tuple[str, str], is_over: bool = True) -> Measured:
        found = Measurement(self.source, self.here, self.paths, "leave a number")
        for name, text in writes:
            path = self.here / name
            path.parent.mkdir(exist_ok=True)
            with path.open("a", newline="") as file:
                file.write(text)
        return found.find(is_over=is_over)

    def fails(self, *writes: tuple[str, str], is_over: bool = True) -> str:
        with pytest.raises(ValueError, match=r".") as error:
            self.run(*writes, is_over=is_over)
        return str(error.value)


def test_words_that_say_which() -> None:
    assert [str(result_from(word)) for word in NAMES] == list(NAMES)
    assert result_from("Mean_of_last_10") == ResultFrom("mean", 10)
    for word in ("mean", "mean_of_last_0", "mean_of_last_", "middle", "best_of_3"):
        with pytest.raises(KeywordValueError):
            result_from(word)


def choose(which: str, *values: float | None, maximize: bool = False) -> Measured | None:
    direction = Direction.MAXIMIZE if maximize else Direction.MINIMIZE
    readings = [Reading(value, {"epoch": number}) for number, value in enumerate(values, start=1)]
    return chosen(readings, Choice(result_from(which), direction), "it")


def test_the_best_by_the_direction_and_never_what_is_not_a_number() -> None:
    note = ("it has values that are not finite numbers; the best of the others is the value",)
    assert choose("best", 3.0, 1.0, 1.0, 2.0) == (1.0, {"epoch": 2}, ())
    assert choose("best", 3.0, 1.0, 2.0, maximize=True) == (3.0, {"epoch": 1}, ())
    assert choose("best", None, 1.0, None) == (1.0, {"epoch": 2}, note)
    assert choose("best") is None
    with pytest.raises(ValueError, match="it has no value that is a finite number"):
        choose("best", None, None)


def test_means_are_of_finite_numbers_alone() -> None:
    assert choose("mean_of_last_2", None, 1.0, 2.0) == (1.5, {"epoch": 3}, ())
    few = "it has fewer than the 3 values of mean_of_last_3; the value is the mean of all"
    assert choose("mean_of_last_3", 1.0, 2.0) == (1.5, {"epoch": 2}, (few,))
    for values in [(1.0, None, 2.0), (1.0, None), (None,), (1e308, 1.7e308)]:
        with pytest.raises(ValueError, match="there is no mean"):
            choose("mean_of_last_2", *values)
    for which, values in [("first", (None, 1.0)), ("last", (1.0, None))]:
        with pytest.raises(ValueError, match=f"the {which} value of it is not a finite number"):
            choose(which, *values)


def test_means_of_metrics_that_all_have() -> None:
    readings = [Reading(1.0, {"a": 1, "b": None, "c": "x", "d": True}), Reading(2.0, {"a": 2.0, "b": 1, "c": "x"})]
    found = chosen(readings, Choice(ResultFrom("mean", 2)), "it")
    assert found == (1.5, {"a": 1.5, "b": None}, ())


@pytest.mark.parametrize("which", NAMES)
def test_in_the_output_a_table_lines_of_json_a_list_and_reports(tmp_path: Path, which: str) -> None:
    rows = [{"epoch": 1, "loss": 0.5, "acc": 0.1}, {"epoch": 2, "loss": 0.2, "acc": 0.7}]
    rows.append({"epoch": 3, "loss": 0.3, "acc": 0.9})
    table = "epoch,loss,acc\n" + "".join(f"{row['epoch']},{row['loss']},{row['acc']}\n" for row in rows)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    value, acc = NAMES[which]
    for number, (source, name, text) in enumerate(
        [
            ({"pattern": LOSS, "objective": "loss"}, "output.txt", EPOCHS),
            ({"pattern": LOSS, "objective": "loss", "file": "train.log"}, "train.log", EPOCHS),
            ({"file": "log.csv", "key": "loss"}, "log.csv", table),
            ({"file": "log.jsonl", "key": "loss"}, "log.jsonl", lines),
            ({"file": "log.json", "key": "loss"}, "log.json", json.dumps(rows)),
            ({"file": "log.json", "key": "history[*].loss"}, "log.json", json.dumps({"history": rows})),
            ({"file": "log.json", "key": "loss[*]"}, "log.json", json.dumps(columns)),
            ({"objective": "loss"}, "reports.jsonl", lines),
        ]
    ):
        here = tmp_path / str(number)
        here.mkdir()
        found = Trial(here, which=which, **source).run((name, text))
        assert found.value == pytest.approx(value)
        assert found.metrics["acc"] == pytest.approx(acc)
        assert "loss" not in found.metrics
        assert found.notes == ()


def test_what_the_output_says_of_a_number_counts_for_each_of_them(tmp_path: Path) -> None:
    def trial(which: str, pattern: str = "loss ([0-9.]+)") -> Trial:
        (tmp_path / "output.txt").unlink(missing_ok=True)
        return Trial(tmp_path, which=which, pattern=pattern)

    assert trial("best").run(("output.txt", "loss 0.2\nloss nan\nloss 0.3\nloss nan\n")).value == 0.2
    assert "a part of what is written there" in trial("best").fails(("output.txt", "loss 0.2\nloss 1e-5\nloss 0.3\n"))
    assert "does not fit the number in" in trial("best").fails(("output.txt", "loss 0.2\nloss -0.5\nloss 0.3\n"))
    assert "fits two labels" in trial("best").fails(("output.txt", "loss 0.2\nval_loss 0.1\nloss 0.3\n"))
    assert "fits two labels" in trial("first").fails(("output.txt", "val_loss 0.2\nloss 0.1\n"))
    assert "fits two labels" in trial("best").fails(("output.txt", "train loss 0.2\ntest loss 0.3\n"))
    for one, other in (("train", "val"), ("Training", "validation"), ("TRAIN/", "eval/"), ("test_x", "dev x")):
        printed = f"{one} epoch 1: loss 0.1\n{other} epoch 1: loss 0.3\n"
        assert "fits two labels" in trial("best").fails(("output.txt", printed))
    lines = "loss=0.5\ntrain_acc=0.1, loss=0.3\nval_acc=0.2, loss=0.4\n"
    assert trial("best", r"\bloss=(\S+)").run(("output.txt", lines)).value == 0.3
    skipping = trial("best", "epoch.*loss: ([0-9.]+)")
    assert "fits two labels" in skipping.fails(("output.txt", "epoch 1 train loss: 0.2\nepoch 1 test loss: 0.3\n"))
    lines = "epoch 1 test loss: nan\nepoch 2 test loss: 0.4\nepoch 3 test loss: nan\n"
    assert trial("best", "epoch.*loss: ([0-9.]+)").run(("output.txt", lines)).value == 0.4
    assert "fits more than once in" in trial("best").fails(("output.txt", "loss 0.2, loss 0.3\n"))
    lines = "INFO 3s 12 test loss 0.5\nINFO 12ms 13 test loss 0.4\nINFO 4s 14 test loss 0.6\n"
    assert trial("best").run(("output.txt", lines)).value == 0.4
    lines = "epoch 1 - 3s - loss 0.5\nepoch 2 - 12ms - loss 0.4\n"
    assert trial("best").run(("output.txt", lines)).value == 0.4
    assert "found nothing in its output" in trial("best").fails(("output.txt", "none\n"))
    assert "no number in the last line" in trial("mean_of_last_2").fails(("output.txt", "loss 0.2\nloss none\n"))
    crash = 'loss 0.2\nTraceback (most recent call last):\n  File "x"\nValueError: no\n'
    assert "ValueError: no" in trial("best").fails(("output.txt", crash))


def test_all_matches_of_a_long_output_are_looked_at(tmp_path: Path) -> None:
    losses = [(number * 7919 % 20_011) / 1000 + 1 for number in range(1, 20_000)]
    text = "".join(
        f"step {number} loss {loss:.3f} of this batch, and much else that makes it a long line\n"
        for number, loss in enumerate(losses)
    )
    trial = Trial(tmp_path, which="best", pattern="loss ([0-9.]+)")
    assert trial.run(("output.txt", text)).value == pytest.approx(min(losses))
    trial = Trial(tmp_path, which="mean_of_last_15000", pattern="loss ([0-9.]+)")
    assert trial.run().value == pytest.approx(sum(losses[-15_000:]) / 15_000, rel=1e-6)


def test_a_row_without_a_value_is_passed_over_and_one_of_something_else_is_not(tmp_path: Path) -> None:
    trial = Trial(tmp_path, which="best", file="a.csv", key="loss")
    assert trial.run(("a.csv", "epoch,loss\n1,0.5\n2,\n3,NA\n4,0.2\n5,0.3\n")).value == 0.2
    (tmp_path / "a.csv").unlink()
    assert "loss in a.csv is low, not a number" in trial.fails(("a.csv", "epoch,loss\n1,0.5\n2,low\n3,0.4\n"))
    lines = Trial(tmp_path, which="best", file="a.jsonl", key="loss")
    assert lines.run(("a.jsonl", '{"loss": 2}\n{"rate": 1}\n{"loss": NaN}\n{"loss": 1}\n{"loss": 3}\n')).value == 1
    (tmp_path / "a.jsonl").unlink()
    assert "line 2 of a.jsonl holds no JSON" in lines.fails(("a.jsonl", '{"loss": 2}\n{"loss"\n{"loss": 3}\n'))


def test_what_is_written_again_each_time_has_no_best(tmp_path: Path) -> None:
    reason = Trial(tmp_path, which="best", file="a.json", key="loss").fails(("a.json", '{"loss": 1}'))
    assert reason.startswith("a.json has one value alone, and result_from=best chooses among all that a trial has")
    assert Trial(tmp_path, which="best", file="a.jsonl", key="loss").run(("a.jsonl", '{"loss": 1}\n')).value == 1


def test_rows_of_an_earlier_attempt_are_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,loss\n1,0.1\n2,0.5\n")
    assert Trial(tmp_path, file="a.csv", key="loss").run(("a.csv", "3,0.4\n")).value == 0.4
    assert "no row below" in Trial(tmp_path, file="a.csv", key="loss").fails(("a.csv", "\n"))
    reason = Trial(tmp_path, which="best", file="a.csv", key="loss").fails(("a.csv", "4,0.3\n5,0.2\n"))
    assert reason.startswith("a.csv begins with what was there before the trial began, which would change what best is")
    assert (
        Trial(tmp_path, which="mean_of_last_2", file="a.csv", key="loss").run(("a.csv", "6,0.3\n7,0.1\n")).value == 0.2
    )
    for before, added in [('{"loss": 1}\n', "\n"), ('{"loss": 1}', "\n"), ('{"loss": 1}\n{"loss": 2}\n', "\n")]:
        (tmp_path / "a.jsonl").write_text(before)
        assert "nothing in a.jsonl is new" in Trial(tmp_path, file="a.jsonl", key="loss").fails(("a.jsonl", added))
    assert Trial(tmp_path, file="a.jsonl", key="loss").run(("a.jsonl", '{"loss": 3}\n')).value == 3
    (tmp_path / "log.txt").write_text("loss 0.1\n")
    assert "found nothing in log.txt" in Trial(tmp_path, file="log.txt", pattern=r"loss (\S+)").fails(
        ("log.txt", "a\n")
    )
    assert Trial(tmp_path, file="log.txt", pattern=r"loss (\S+)").run(("log.txt", "loss 0.3\n")).value == 0.3


def test_a_file_that_is_written_again_as_it_was_is_its_own(tmp_path: Path) -> None:
    for file, key, text in [
        ("a.csv", "loss", "loss\n0.5\n0.2\n"),
        ("a.jsonl", "loss", '{"loss": 0.5}\n{"loss": 0.2}\n'),
    ]:
        (tmp_path / file).write_text(text)
        os.utime(tmp_path / file, (1, 1))
        trial = Trial(tmp_path, which="best", file=file, key=key)
        found = Measurement(trial.source, tmp_path, trial.paths, "")
        (tmp_path / file).write_text(text)
        assert found.find().value == 0.2


def test_another_group_than_the_first_may_be_the_value(tmp_path: Path) -> None:
    trial = Trial(tmp_path, which="best", pattern=LOSS, objective="acc", direction=Direction.MAXIMIZE)
    assert trial.run(("output.txt", EPOCHS))[:2] == (0.9, {"loss": 0.3})
    with ReportWatch(trial.source, tmp_path, trial.paths) as watch:
        trial.paths.output.write_text(EPOCHS)
    assert watch.last == Report(3, {"loss": 0.3, "acc": 0.9})
    assert "acc nan" in Trial(tmp_path, pattern=LOSS, objective="acc").fails(
        ("output.txt", "epoch 4: loss 1 acc nan\n")
    )


REPORTS = '{"step": 1, "val_to_return": 0.5}\n{"step": 2, "val_to_return": 0.2}\n{"step": 2, "acc": 0.7}\n'


def test_reports_are_the_value_where_nothing_is_returned_and_the_user_says_so(tmp_path: Path) -> None:
    assert "ended without a value" in Trial(tmp_path).fails(("reports.jsonl", REPORTS + '{"val_to_return": 0.3}\n'))
    assert Trial(tmp_path, which="last").run().value == 0.3
    assert Trial(tmp_path, which="best").run()[:2] == (0.2, {"acc": 0.7})
    (tmp_path / "reported_result.json").write_text('{"val_to_return": 0.9}')
    assert Trial(tmp_path, which="last").run().value == 0.9
    assert Trial(tmp_path, which="best").fails().startswith("it returned a value, 0.9, and result_from=best chooses")


def test_the_value_by_the_name_that_objectives_has(tmp_path: Path) -> None:
    named = '{"step": 1, "acc": 0.5, "loss": 2}\n{"step": 2, "acc": 0.7, "loss": 1}\n{"step": 3, "loss": 0.5}\n'
    assert Trial(tmp_path, which="last", objective="acc").run(("reports.jsonl", named))[:2] == (0.7, {"loss": 1})
    why = "it reported no {} on its way (but acc, loss); objectives names what is optimized"
    for objective in ("f1", THE_VALUE):
        assert Trial(tmp_path, which="last", objective=objective).fails() == why.format(objective)
    returned = tmp_path / "reported_result.json"
    returned.write_text('{"acc": 0.9, "loss": 0.25}')
    assert Trial(tmp_path, which="last", objective="acc").run()[:2] == (0.9, {"loss": 0.25})
    assert "holds no f1 (it has: acc, loss); objectives names" in Trial(tmp_path, objective="f1").fails()
    for one_value in ("0.9", '{"val_to_return": 0.9}', '{"acc": 0.9, "val_to_return": 0.9}'):
        returned.write_text(one_value)
        assert Trial(tmp_path, objective="acc").run()[:2] == (0.9, {})
    returned.write_text('{"acc": null, "loss": 1}')
    assert Trial(tmp_path, objective="acc").fails() == "acc is None, not a number"
    returned.write_text('{"acc": 0.9, "val_to_return": 0.5}')
    assert "there are two values, 0.5 without a name and 0.9 as acc" in Trial(tmp_path, objective="acc").fails()


def test_missing_reports_and_lines_of_something_else(tmp_path: Path) -> None:
    assert "it reported nothing on its way" in Trial(tmp_path, which="best").fails()
    assert "line 2 of reports.jsonl" in Trial(tmp_path, which="best").fails(("reports.jsonl", "0.5\n{\n0.3\n"))
    (tmp_path / "reports.jsonl").unlink()
    long = f"0.5\n0.{'0' * 5_000_000}7\n"
    assert "line 2 of reports.jsonl is too long" in Trial(tmp_path, which="last").fails(("reports.jsonl", long))


@pytest.mark.parametrize(
    ("source", "name", "texts", "value"),
    [
        ({"pattern": r"loss (\S+)"}, "output.txt", ["loss 0.5\nloss 0.4\nlo", "loss 0.5\nloss 0.4\nloss 0.3"], 0.4),
        ({"pattern": r"loss (\S+)"}, "output.txt", ["loss 0.4\rloss 0.3"], 0.4),
        ({"file": "a.csv", "key": "loss"}, "a.csv", ["loss\n0.5\n0.4\n", "loss\n0.5\n0.4\n0.3"], 0.4),
        ({"file": "a.csv", "key": "loss"}, "a.csv", ["epoch,loss\n1,0.4\n2"], 0.4),
        ({"file": "a.jsonl", "key": "loss"}, "a.jsonl", ['{"loss": 0.5}\n{"loss": 0.4}\n{"loss": 0.'], 0.4),
        ({}, "reports.jsonl", ["0.5\n0.4\n0.3", '0.4\n{"val_to_return": 0.'], 0.4),
    ],
)
def test_the_value_so_far_has_no_unfinished_line(
    tmp_path: Path, source: dict[str, str], name: str, texts: list[str], value: float
) -> None:
    for text in texts:
        (tmp_path / name).unlink(missing_ok=True)
        assert Trial(tmp_path, **source).run((name, text), is_over=False).value == value


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ({"pattern": r"loss (\S+)"}, "output.txt", "loss 0.5"),
        ({"file": "a.csv", "key": "loss"}, "a.csv", "loss\n0.5"),
        ({"file": "a.json"}, "a.json", "0.5"),
        ({"file": "a.json", "key": "loss"}, "a.json", '{"loss": 0.5, '),
        ({}, "reports.jsonl", "0.5"),
        ({}, "reported_result.json", "0"),  # perhaps what stands there until the end
    ],
)
def test_there_is_no_value_so_far_in_what_may_be_cut_off(
    tmp_path: Path, source: dict[str, str], name: str, text: str
) -> None:
    assert Trial(tmp_path, **source).fails((name, text), is_over=False)


def test_of_several_files_the_one_with_the_largest_number_counts(tmp_path: Path) -> None:
    pattern = "checkpoint-*/state.json"
    (tmp_path / "checkpoint-9999").mkdir()
    (tmp_path / "checkpoint-9999/state.json").write_text('{"loss": 9}')  # of another run
    trial = Trial(tmp_path, file=pattern, key="loss")
    assert "did not write the result_file checkpoint-*/state.json" in trial.fails()
    found = trial.run(("checkpoint-500/state.json", '{"loss": 5}'), ("checkpoint-1000/state.json", '{"loss": 1}'))
    assert found.value == 1
    assert found.notes == (f"of the files {pattern}, the one with the largest number has the value",)


def test_files_that_all_trials_share_are_nobody_s(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    trial = Trial(tmp_path, file="*/a.json", key="loss", shared=("shared", "data/x"))
    found = Measurement(trial.source, tmp_path, trial.paths, "")
    (tmp_path / "shared" / "a.json").write_text('{"loss": 1}')
    with pytest.raises(ValueError, match="did not write"):
        found.find()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.json").write_text('{"loss": 2}')
    assert found.find().value == 2


def test_the_files_of_events_in_a_folder_are_one_run(tmp_path: Path) -> None:
    trial = Trial(tmp_path, which="best", file="runs/*/events.out.tfevents.*", key="loss")
    found = Measurement(trial.source, tmp_path, trial.paths, "")
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.20.n.1.1").write_bytes(event(3, "loss", 0.5))
    (folder / "events.out.tfevents.9.n.1.0").write_bytes(EVENTS)
    assert found.find().value == 0.25


def test_events_of_before_are_not_the_trial_s(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(EVENTS)
    trial = Trial(tmp_path, which="best", file="*.tfevents.*", key="loss")
    found = Measurement(trial.source, tmp_path, trial.paths, "")
    (tmp_path / NAME).write_bytes(EVENTS + event(3, "loss", 0.5))
    assert found.find().value == 0.5


def test_a_file_that_is_begun_again_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("loss\n0.5\n0.2\n")
    trial = Trial(tmp_path, which="best", file="a.csv", key="loss")
    found = Measurement(trial.source, tmp_path, trial.paths, "")
    for text in ("", "loss\n0.5\n", "loss\n0.5\n0.2\n0.3\n"):
        (tmp_path / "a.csv").write_text(text)
        found.look()
    assert found.find().value == 0.2


def test_where_a_file_with_a_smaller_number_is_newer_nobody_knows_which(tmp_path: Path) -> None:
    trial = Trial(tmp_path, file="run_*.json", key="loss")
    found = Measurement(trial.source, tmp_path, trial.paths, "")
    for name, moment in [("run_1.json", 2_000_000_002), ("run_2.json", 2_000_000_001)]:
        (tmp_path / name).write_text('{"loss": 1}')
        os.utime(tmp_path / name, (moment, moment))
    with pytest.raises(ValueError, match=r"run_2.json has the larger number, and run_1.json was written later"):
        found.find()


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number: int, data: bytes | int) -> bytes:
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


def event(step: int, tag: str, value: float, as_tensor: str = "") -> bytes:
    """Return a record, with a float, or with a tensor of one number as TensorFlow's writer has it."""
    number = varint(2 << 3 | 5) + struct.pack("<f", value)
    if as_tensor == "content":
        number = field(8, field(1, 2) + field(2, b"") + field(4, struct.pack("<d", value)))
    if as_tensor == "list":
        number = field(8, field(1, 1) + field(5, struct.pack("<f", value)))
    if as_tensor == "two":
        number = field(8, field(1, 1) + field(5, struct.pack("<ff", value, value)))
    message = field(2, step) + field(5, field(1, field(1, tag.encode()) + number))
    head = struct.pack("<Q", len(message))
    return head + struct.pack("<I", checksum(head)) + message + struct.pack("<I", checksum(message))


EVENTS = b"".join(event(step, tag, value) for step, a, b in [(0, 0.5, 0.1), (1, 0.25, 0.7), (2, 0.75, 0.9)]
                  for tag, value in [("loss", a), ("acc", b)])  # fmt: skip
NAME = "events.out.tfevents.1795687089.node.1.0"


def in_events(here: Path, data: bytes, which: str = "last", key: str = "loss") -> Measured:
    (here / NAME).write_bytes(data)
    return in_event_files([(here / NAME, 0)], key, Choice(result_from(which)))


def test_a_checksum_is_that_of_tfrecord() -> None:
    assert checksum(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) % 2**32  # of CRC-32C


def test_a_file_of_events(tmp_path: Path) -> None:
    best = in_events(tmp_path, EVENTS, "best")
    assert best == (0.25, {"step": 1, "acc": pytest.approx(0.7)}, ())
    assert in_events(tmp_path, EVENTS).value == 0.75
    with pytest.raises(ValueError, match="ends within a record"):
        in_events(tmp_path, EVENTS + event(3, "loss", 0.1)[:-1])
    assert in_event_files([(tmp_path / NAME, 0)], "loss", Choice(result_from("last")), is_over=False).value == 0.75
    for form in ("content", "list"):
        assert in_events(tmp_path, EVENTS + event(1 << 40, "loss", 0.125, form))[:2] == (0.125, {"step": 1 << 40})
    assert in_events(tmp_path, EVENTS + event(3, "loss", 0.125, "two")).value == 0.75  # two numbers are none
    with pytest.raises(ValueError, match=r'has no "lost" \(it has: acc, loss\)'):
        in_events(tmp_path, EVENTS, key="lost")
    with pytest.raises(ValueError, match="the last value of loss is not a finite number"):
        in_events(tmp_path, EVENTS + event(3, "loss", float("nan")))


@pytest.mark.parametrize("place", [3, 10, 20, 30])
def test_a_damaged_file_of_events_has_no_value(tmp_path: Path, place: int) -> None:
    damaged = EVENTS[:place] + bytes([EVENTS[place] ^ 1]) + EVENTS[place + 1 :]
    with pytest.raises(ValueError, match="damaged"):
        in_events(tmp_path, damaged)


def test_events_are_reports_as_they_come(tmp_path: Path) -> None:
    paths, heard = TrialPaths(tmp_path, tmp_path / "checkpoint", tmp_path / "output.txt"), list[Report]()
    source = ResultSource(file="*.tfevents.*", key="loss", objective="loss")
    (tmp_path / NAME).write_bytes(b"")
    watch = ReportWatch(source, tmp_path, paths, heard.append)
    for part in (EVENTS[:100], EVENTS[100:150], EVENTS[150:]):
        with (tmp_path / NAME).open("ab") as file:
            file.write(part)
        watch.look(is_last=True)
    assert [(report.step, report.metrics["loss"]) for report in heard] == [(0, 0.5), (1, 0.25), (2, 0.75)]
    with watch:
        pass
    assert watch.last is not None
    assert watch.last.metrics["acc"] == pytest.approx(0.9)


def test_reports_come_from_the_newest_file_and_from_all_elements_of_a_list(tmp_path: Path) -> None:
    paths, heard = TrialPaths(tmp_path, tmp_path / "checkpoint", tmp_path / "output.txt"), list[Report]()
    source = ResultSource(file="checkpoint-*/state.json", key="history[*].loss", objective="loss")
    watch = ReportWatch(source, tmp_path, paths, heard.append)
    history = [
        {"epoch": 1, "loss": 0.5},
        {"epoch": 1.5, "rate": 1},
        {"epoch": 2, "loss": 0.25},
        {"epoch": 2, "time": 9},
    ]
    for number, end in [(5, 1), (10, 4)]:
        (tmp_path / f"checkpoint-{number}").mkdir()
        (tmp_path / f"checkpoint-{number}/state.json").write_text(json.dumps({"history": history[:end]}))
        watch.look(is_last=True)
    assert [(report.step, report.metrics) for report in heard] == [(1, {"loss": 0.5}), (2, {"loss": 0.25})]
    with watch:
        pass
    assert watch.notes == ()


@pytest.mark.parametrize(
    ("source", "name", "text", "finished", "killed"),
    [
        ({"pattern": r"loss (\S+)"}, "output.txt", "loss 0.5\nloss 0.25", 0.25, 0.5),
        ({"file": "a.csv", "key": "loss"}, "a.csv", "loss\n0.5\n0.25", 0.25, 0.5),
        ({}, "reports.jsonl", "0.5\n0.25", 0.25, 0.5),
    ],
)
def test_a_last_line_without_its_end_is_a_report_of_a_trial_that_ended_by_itself(
    tmp_path: Path, source: dict[str, str], name: str, text: str, finished: float, killed: float
) -> None:
    paths = TrialPaths(tmp_path, tmp_path / "checkpoint", tmp_path / "output.txt")
    for is_finished, value in [(True, finished), (False, killed)]:
        (tmp_path / name).unlink(missing_ok=True)
        watch = ReportWatch(ResultSource(**source), tmp_path, paths)  # type: ignore[arg-type]
        with watch:
            (tmp_path / name).write_text(text)
            watch.is_finished = is_finished
        assert watch.last is not None
        assert watch.last.value_of("val_to_return") == value


CRASH = (
    'Traceback (most recent call last):\n  File "x"\n    print("loss", loss)\n'
    "elastic.SignalException: Process 1 got signal: 15\n"
)


@pytest.mark.parametrize("which", [None, "last", "best", "mean_of_last_2"])
def test_a_crash_of_a_trial_that_was_asked_to_end_takes_no_value_away(tmp_path: Path, which: str | None) -> None:
    trial = Trial(tmp_path, which=which, pattern=r"loss (\S+)")
    (tmp_path / "output.txt").write_text(EPOCHS + CRASH)
    found = Measurement(trial.source, tmp_path, trial.paths, "")
    assert found.metrics_so_far(len(EPOCHS)) == ({"val_to_return": NAMES[which or "last"][0]}, ())
    with pytest.raises(ValueError, match=r"SignalException|loss"):  # before it was
        found.metrics_so_far(len(EPOCHS + CRASH))
    with pytest.raises(ValueError, match=r"SignalException|loss"):
        found.metrics()
    (tmp_path / "output.txt").write_text(
        "begins\n" + EPOCHS + CRASH.replace('    print("loss", loss)\n', "")
    )  # it wrote out late
    assert found.metrics_so_far(7)[0] == {"val_to_return": NAMES[which or "last"][0]}


SCRIPT = """
    import sys, time
    for epoch, loss in enumerate([0.5, 0.25, hyperparams["last"]], start=1):
        candle_report(loss, step=epoch, accuracy=1 - loss)
    for number in range(hyperparams["more"]):
        candle_report(1.0, step=4 + number)
    if hyperparams["hangs"]:
        time.sleep(100)
"""


def test_the_best_of_its_reports_is_the_value_of_a_trial_also_of_one_that_runs_too_long(
    candle: Candle, here: Path
) -> None:
    (here / "train.py").write_text(textwrap.dedent(SCRIPT))
    control = """
        model_script="train.py"
        workflow="grid"
        engine="local"
        nworkers=3
        result_from="best"
        trial_timeout="00:00:12"
        on_timeout="take_value"
    """
    sets = [{"last": 0.75, "more": 0, "hangs": 0}, {"last": 0.75, "more": 30_000, "hangs": 0}]
    sets.append({"last": 0.125, "more": 0, "hangs": 1})
    (here / "x.in").write_text(input_text(control, "", "\n".join(map(json.dumps, sets))))
    done = candle("submit-job", "x.in")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "best (minimize): 0.125 by hpset_00003" in done.stdout
    assert "trials ran longer than trial_timeout; what they had measured so far is their value" in done.stdout
    outcomes = [
        json.loads((here / "last-candle-job" / "run" / f"hpset_0000{number}" / "outcome.json").read_text())["outcome"]
        for number in (1, 2, 3)
    ]
    assert [outcome["metrics"] for outcome in outcomes] == [
        {"val_to_return": value, "accuracy": 1 - value} for value in (0.25, 0.25, 0.125)
    ]
    assert (here / "last-candle-job" / "run" / "hpset_00002" / "reports.jsonl").stat().st_size < 200_000
