"""What a trial reports on its way: read with the same care as a result, in order, and never more than is good."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring import growing_file, report_watch
from candle_hpo.launch.measuring.growing_file import GrowingFile
from candle_hpo.launch.measuring.objective import ResultSource
from candle_hpo.launch.measuring.report_watch import ReportWatch, Series


class Trial:
    """A trial's files, written by a test, and the watch that looks at them when it is asked to."""

    def __init__(self, here: Path, source: ResultSource) -> None:
        self.paths = TrialPaths(here, here / "checkpoint", here / "output.txt")
        self.file = here / source.file if source.file else self.paths.output if source.pattern else self.paths.reports
        self.heard: list[Report] = []
        self.source, self.watch = source, ReportWatch(source, here, self.paths, self.heard.append)

    def write(self, *texts: str | bytes) -> Trial:
        """Append these, with a look after each."""
        for text in texts:
            with self.file.open("ab") as file:
                file.write(text.encode() if isinstance(text, str) else text)
            self.watch.look()
        return self

    def rewrite(self, *texts: str) -> Trial:
        """Write the file again from its beginning, with a look after each."""
        for text in texts:
            self.file.write_text(text)
            self.watch.look()
        return self

    @property
    def said(self) -> list[tuple[float, object]]:
        """The steps and the objectives that were passed on."""
        return [(report.step, report.metrics.get(self.source.objective, "not there")) for report in self.heard]


def printed(here: Path, pattern: str, *texts: str | bytes, objective: str = "val_to_return") -> Trial:
    return Trial(here, ResultSource(pattern=pattern, objective=objective)).write(*texts)


def reported(here: Path, *texts: str) -> Trial:
    return Trial(here, ResultSource()).write(*texts)


def table(here: Path, *texts: str) -> Trial:
    return Trial(here, ResultSource(file="log.csv", key="val_loss", objective="val_loss")).write(*texts)


def objects(here: Path, key: str = "val_loss") -> Trial:
    return Trial(here, ResultSource(file="log.json", key=key, objective=key))


NAMED = r"epoch (?P<epoch>\d+).* loss (?P<loss>[0-9.]+) acc (?P<acc>\S+)"


def test_each_match_is_a_report_with_its_step_and_metrics(tmp_path: Path) -> None:
    trial = printed(tmp_path, NAMED, "epoch 1/3 loss 0.5 acc 0.1\nepoch 2/3 loss 0.4 acc nan\n", objective="loss")
    assert trial.heard == [Report(1, {"loss": 0.5, "acc": 0.1}), Report(2, {"loss": 0.4, "acc": None})]
    lines = trial.paths.reports.read_text().splitlines()
    assert list(map(json.loads, lines)) == [{"step": 1, "loss": 0.5, "acc": 0.1}, {"step": 2, "loss": 0.4, "acc": None}]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["loss: 0.5\nloss: 0.4\n"], [(1, 0.5), (2, 0.4)]),
        (["loss: 0.5\nlo", "ss: 0", ".4\nloss: 0.3"], [(1, 0.5), (2, 0.4)]),  # only finished lines
        (["loss: 0.5\r", "loss: 0.4\r", "\n"], [(1, 0.4)]),  # the states of a progress bar
        (["loss: 0.5\r\nloss: 0.4\r", "\n"], [(1, 0.5), (2, 0.4)]),
        (["\x1b[32mloss: 0.5\x1b[0m\n"], [(1, 0.5)]),
        (["loss: 0.5\nloss: nan\nloss: 0.4\n"], [(1, 0.5), (2, None), (3, 0.4)]),  # the guess [0-9.]+ does not fit nan
        (["loss: 0.5\nloss: -inf\n"], [(1, 0.5), (2, None)]),
        (["loss: 0.5\nloss: -0.3\nloss: 0.4\n"], [(1, 0.5), (3, 0.4)]),  # an epoch all the same
        (["loss: 0.5\nloss: 1.2e-05\nloss: 0.4\n"], [(1, 0.5), (3, 0.4)]),
        (["loss: 0.5 - val_loss: 0.7\nloss: 0.4 - val_loss: 0.6\n"], [(1, 0.5), (2, 0.4)]),
        (["loss: 0.5\n\x08\x08loss: 0.4\n"], [(1, 0.5), (2, 0.4)]),
        (["loss: 0.5\x08\x081\nloss: 0.4\n"], [(2, 0.4)]),  # it may be written over
        (["\xff\xfe loss: 0.5\n".encode("latin-1")], [(1, 0.5)]),
        ([""], []),
    ],
)
def test_the_output_is_read_as_carefully_as_a_result(
    tmp_path: Path, texts: list[str | bytes], said: list[tuple[float, object]]
) -> None:
    assert printed(tmp_path, "loss: ([0-9.]+)", *texts).said == said


def test_a_match_that_is_left_out_is_counted_and_the_first_one_quoted(tmp_path: Path) -> None:
    trial = printed(tmp_path, "loss: ([0-9.]+)", "loss: 1,234.5\nloss: 0.4\nloss: 1.2e-05\n")
    (note,) = trial.watch.notes
    assert note == "reports of some trials were left out; reports.left_out.txt in the trial's folder quotes the first"
    assert trial.watch.left_out.startswith(
        "a report was left out (and 1 more): result_pattern found 1, which is a part of what is"
    )
    assert 'in "loss: 1,234.5"' in trial.watch.left_out
    assert trial.said == [(2, 0.4)]


def test_of_a_bar_that_is_written_over_what_is_left_counts(tmp_path: Path) -> None:
    bar = "\r".join(f"{part} % loss: {1 / part:.3f}" for part in range(10, 110, 10))
    trial = printed(tmp_path, r"loss: (\S+)", f"{bar}\n", f"{bar}\r\nother\n", "loss: 0.005\r\n")
    assert trial.said == [(1, 0.01), (2, 0.01), (3, 0.005)]


def test_with_the_label_alone_that_of_a_longer_word_counts_no_more(tmp_path: Path) -> None:
    trial = printed(tmp_path, r"loss: (\S+)", "val_loss: 0.7\n", "loss: 0.5\n", "val_loss: 0.6\n", "loss: 0.4\n")
    assert trial.said == [(1, 0.7), (2, 0.5), (3, 0.4)]


def test_what_becomes_no_number_between_two_looks_is_passed_on(tmp_path: Path) -> None:
    lines = [f'{{"step": {step}, "val_to_return": {"NaN" if step > 500 else 0.5}}}\n' for step in range(1, 1001)]
    trial = reported(tmp_path, "".join(lines))
    first = next(report.step for report in trial.heard if report.value_of("val_to_return") is None)
    assert first == 501


@pytest.mark.parametrize("step", ["1.7e308", "9007199254740994", "-1e300"])
def test_a_step_that_cannot_be_counted_is_left_out(tmp_path: Path, step: str) -> None:
    assert reported(tmp_path, f'{{"step": {step}, "val_to_return": 0.5}}\n').said == []
    assert printed(tmp_path, r"step (?P<step>\S+) loss (?P<loss>\S+)", f"step {step} loss 0.5\n").said == []


def test_a_label_within_different_words_reports_neither(tmp_path: Path) -> None:
    trial = printed(tmp_path, "loss: ([0-9.]+)", "val_loss: 0.5 train_loss: 0.4\n", "val_loss: 0.3\n")
    assert trial.said == []
    assert "fits two labels" in trial.watch.left_out
    (tmp_path / "b").mkdir()
    assert printed(tmp_path / "b", "loss: ([0-9.]+)", "val_loss: 0.5\n", "val_loss: 0.3\n").said == [(1, 0.5), (2, 0.3)]


def test_a_match_over_lines_that_come_one_by_one(tmp_path: Path) -> None:
    texts = ["Epoch 1\n", "some text\n", "loss 0.5\n", "Epoch 2\nsome", " text\nloss 0.4\nEpoch 3\n"]
    trial = printed(tmp_path, r"Epoch (?P<epoch>\d+)\n.*\nloss (?P<loss>\S+)", *texts, objective="loss")
    assert trial.said == [(1, 0.5), (2, 0.4)]


def test_a_line_without_an_end_takes_no_memory_without_an_end(tmp_path: Path) -> None:
    trial = printed(tmp_path, "loss: ([0-9.]+)", "loss: 0.5\n", *["x" * 3_000_000] * 3, "loss: 0.1\nloss: 0.4\n")
    while not trial.watch.look():
        pass
    assert trial.said == [(1, 0.5), (2, 0.4)]


def test_what_is_reported_by_lines(tmp_path: Path) -> None:
    trial = reported(
        tmp_path,
        '{"step": 1, "val_to_return": 0.5, "accuracy": NaN}\n{"epoch": 2, "val_to_return": "nan"}\n{"val_to_re',
        'turn": ".3", "Step": "3"}\n\n{"val_loss": 0.5, "step": 4}\n',
        '{"val_to_return": 1e999, "iter": 5}\n',
    )
    assert trial.heard == [
        Report(1, {"val_to_return": 0.5, "accuracy": None}),
        Report(2, {"val_to_return": None}),
        Report(3, {"val_to_return": 0.3}),
        Report(4, {"val_loss": 0.5}),
        Report(5, {"val_to_return": None}),
    ]
    assert trial.watch.last == trial.heard[-1]


def test_reports_without_a_step_count_from_1(tmp_path: Path) -> None:
    assert reported(tmp_path, '{"val_to_return": 0.5}\n0.4\n', "0.3\n").said == [(1, 0.5), (2, 0.4), (3, 0.3)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("words", "holds no JSON"),
        ('{"val_to_return": "words"}', "val_to_return is words, not a number"),
        ('{"val_to_return": true}', "val_to_return is True, not a number"),
        ('{"val_to_return": 1, "val_to_return": 2}', "val_to_return is there 2 times"),
        ('{"val_to_return": 1, "step": null}', "step is None, not a number"),
        ('{"val_to_return": 1, "step": NaN}', "step is nan, not a number that can be a step"),
        ("[1, 2]", "val_to_return is [1, 2], not a number"),
    ],
)
def test_a_line_that_is_wrong_is_left_out_and_said(tmp_path: Path, line: str, why: str) -> None:
    trial = reported(tmp_path, f'{{"val_to_return": 0.5}}\n{line}\n{{"val_to_return": 0.3}}\n')
    assert trial.said == [(1, 0.5), (3, 0.3)]
    assert why in trial.watch.left_out


def test_what_objectives_names_is_what_is_optimized(tmp_path: Path) -> None:
    trial = Trial(tmp_path, ResultSource(objective="acc"))
    trial.write('{"loss": 1, "acc": 0.5}\n', '{"loss": 1}\n0.7\n', '{"val_to_return": 0.8, "acc": 0.8}\n')
    trial.write('{"val_to_return": 0.8, "acc": 0.9}\n')
    assert trial.said == [(1, 0.5), (2, "not there"), (3, 0.7), (4, 0.8)]
    assert "there are two values, 0.8 without a name and 0.9 as acc" in trial.watch.left_out


def test_reports_that_come_late_are_left_out_and_parts_of_a_step_are_one(tmp_path: Path) -> None:
    late = reported(tmp_path, *(f'{{"step": {step}, "val_to_return": {step}}}\n' for step in (1, 2, 2, 1, 3)))
    assert late.said == [(1, 1), (2, 2), (3, 3)]
    assert late.watch.notes == ("reports were left out whose step is not beyond that of the report before",)
    (tmp_path / "b").mkdir()
    parts = reported(
        tmp_path / "b", '{"step": 1, "a": 1}\n', '{"step": 1, "val_to_return": 2}\n', '{"step": 1, "c": 3}\n'
    )
    assert parts.heard == [Report(1, {"a": 1}), Report(1, {"a": 1, "val_to_return": 2})]
    assert parts.watch.last == Report(1, {"a": 1, "val_to_return": 2, "c": 3})
    assert parts.watch.notes == ()


def test_what_each_process_of_a_trial_reports_counts_once(tmp_path: Path) -> None:
    lines = [f'{{"step": {step}, "val_to_return": {1 / step}, "a": NaN}}\n' * 2 for step in (1, 2, 3)]
    same = reported(tmp_path, *lines)
    assert (same.said, same.watch.notes) == ([(1, 1), (2, 0.5), (3, 1 / 3)], ())
    (tmp_path / "b").mkdir()
    other = reported(tmp_path / "b", lines[0], '{"step": 1, "val_to_return": 0.9}\n')
    assert other.said == [(1, 1)]
    assert other.watch.notes == ("reports were left out whose step is not beyond that of the report before",)


def test_reports_without_what_is_optimized_are_noted(tmp_path: Path) -> None:
    trial = reported(tmp_path, '{"step": 1, "val_loss": 0.5, "accuracy": 0.9}\n', '{"step": 2, "val_loss": 0.4}\n')
    assert trial.watch.notes == (
        "its reports have val_loss, and none has val_to_return, which is what is optimized: give candle_report that "
        "value without a name or by this one, or name another in objectives",
    )


def test_a_file_that_is_cut_or_replaced_begins_again(tmp_path: Path) -> None:
    trial = reported(tmp_path, '{"step": 1, "val_to_return": 0.5}\n')
    trial.rewrite("", '{"step": 1, "val_to_return": 0.5}\n{"step": 2, "val_to_return": 0.4}\n')
    assert trial.said == [(1, 0.5), (2, 0.4)]
    aside = tmp_path / "aside"
    aside.write_text('{"step": 3, "val_to_return": 0.3}\n')
    aside.replace(trial.paths.reports)
    trial.watch.look(is_last=True)
    assert trial.said[2:] == [(3, 0.3)]


def test_a_file_that_is_written_again_between_two_looks_begins_again(tmp_path: Path) -> None:
    growing = GrowingFile(tmp_path / "x")
    assert growing.read() == (b"", b"", False, True)
    (tmp_path / "x").write_text("1\n2")
    assert growing.read() == (b"1\n", b"2", False, True)
    (tmp_path / "x").write_text("a\nb\nc\n")
    assert growing.read() == (b"a\nb\nc\n", b"", True, True)
    (tmp_path / "x").unlink()
    assert growing.read() == (b"", b"", True, True)
    growing.close()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_not_a_file_is_not_read(tmp_path: Path, make: object) -> None:
    make(tmp_path / "reports.jsonl")  # type: ignore[operator]
    with Trial(tmp_path, ResultSource()).watch as watch:
        pass
    assert watch.last is None


KERAS = "epoch,accuracy,loss,val_loss\n0,0.1,0.9,0.5\n1,0.2,0.8,0.4\n"
LIGHTNING = "epoch,step,train_loss,val_loss\n0,49,0.9,\n0,99,0.8,\n0,99,,0.5\n1,149,0.7,\n1,199,,0.4\n1,199,0.6,\n"


def test_tables_of_keras_and_lightning(tmp_path: Path) -> None:
    trial = table(tmp_path, KERAS[:40], KERAS[40:])
    assert trial.heard[0] == Report(0, {"accuracy": 0.1, "loss": 0.9, "val_loss": 0.5})
    assert trial.said == [(0, 0.5), (1, 0.4)]
    (tmp_path / "b").mkdir()
    lightning = table(tmp_path / "b", LIGHTNING)
    assert lightning.heard == [
        Report(99, {"train_loss": 0.8, "val_loss": 0.5}),
        Report(199, {"val_loss": 0.4}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("val_loss\n0.5\n0.4\n", [(1, 0.5), (2, 0.4)]),
        ("a;val_loss\n1;0.5\n\n2;\n3;nan\n4;NA\n5;0.3\n", [(1, 0.5), (2, None), (3, 0.3)]),
        ("# by hand\na\tval_loss\n1\t0.5\n# more\n2\t0.4\n", [(1, 0.5), (2, 0.4)]),
        ("epoch,val_loss\n1,0.5\n2,0,5\n3,0.3\n", [(1, 0.5), (3, 0.3)]),  # a decimal comma
        ("epoch,val_loss\n1,0.5\n2,words\n,0.3\n4,0.2\n", [(1, 0.5), (4, 0.2)]),
        ("epoch,val_loss\n1,0.5\n2,0.4\nval_loss,epoch\n0.3,3\n", [(1, 0.5), (2, 0.4), (3, 0.3)]),
        ('"Epoch","val_loss"\n1,"0.5"\n2,0.4', [(1, 0.5)]),
        ("epoch,loss\n1,0.5\n", []),
    ],
)
def test_rows_of_a_table(tmp_path: Path, text: str, said: list[tuple[float, object]]) -> None:
    assert table(tmp_path, text).said == said


def test_a_table_that_is_written_as_a_whole_each_time(tmp_path: Path) -> None:
    rows = ["val_loss\n", "0.5\n", "0.4\n", "0.3\n"]
    trial = table(tmp_path).rewrite(*("".join(rows[:count]) for count in range(5)))
    assert trial.said == [(1, 0.5), (2, 0.4), (3, 0.3)]
    assert trial.watch.notes == ()


def test_what_an_earlier_attempt_has_written_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("val_loss\n0.9\n0.8\n")
    assert table(tmp_path, "0.7\n").said == [(3, 0.7)]
    (tmp_path / "log.json").write_text('{"val_loss": 0.9}')
    assert objects(tmp_path).rewrite('{"val_loss": 0.9}', '{"val_loss": 0.8}').said == [(2, 0.8)]


def test_a_json_file_that_is_written_again(tmp_path: Path) -> None:
    texts = [
        '{"epoch": 1, "val_loss": 0.5}',
        '{"epoch": 1, "val_loss": 0.5}',
        '{"ep',
        '{\n "epoch": 10,\n "val_loss": NaN\n}',
    ]
    assert objects(tmp_path).rewrite(*texts, "").said == [(1, 0.5), (10, None)]
    (tmp_path / "b").mkdir()
    contents = [
        '{"test": {"loss": 3}}\n',
        "",
        '{"test": {"loss": 3}}\n',
        '{"test": {"loss": 2}}\n',
        '{"test": {"loss": 1}}\n',
    ]
    assert objects(tmp_path / "b", "test.loss").rewrite(*contents).said == [(1, 3), (2, 2), (3, 1)]


def test_what_changes_in_a_file_that_stays_as_long_and_ends_as_before_is_seen(tmp_path: Path) -> None:
    rest = "x" * 2000
    texts = [f'{{"epoch": {epoch}, "val_loss": 0.{9 - epoch}, "of": "{rest}"}}' for epoch in (1, 2, 3)]
    assert objects(tmp_path).rewrite(*texts).said == [(1, 0.8), (2, 0.7), (3, 0.6)]
    (tmp_path / "b").mkdir()
    source = ResultSource(file="log.txt", pattern=r"epoch (?P<epoch>\d+) loss (?P<loss>\S+)", objective="loss")
    texts = [f"epoch {epoch} loss 0.{9 - epoch}\n{rest}\n" for epoch in (1, 2, 3)]
    assert Trial(tmp_path / "b", source).rewrite(*texts).said == [(1, 0.8), (2, 0.7), (3, 0.6)]


def test_a_json_file_with_a_line_for_each_report_or_a_list(tmp_path: Path) -> None:
    trial = objects(tmp_path).write(
        '{"val_loss": 0.5}', "\n", '{"val_loss": 0.4}\n{"val_l', 'oss": null}\n{"val_loss": 0.2}'
    )
    assert trial.said == [(1, 0.5), (2, 0.4), (4, 0.2)]
    (tmp_path / "b").mkdir()
    lists = ["[\n", '[{"val_loss": 0.5}]', '[{"val_loss": 0.5}, {"val_loss": 0.4}]']
    assert objects(tmp_path / "b").rewrite(*lists).said == [(1, 0.5), (2, 0.4)]


def test_of_very_many_reports_a_choice_is_kept() -> None:
    series, kept = Series("loss"), 0
    for step in range(1, 100_001):
        kept += series.add(Report(step, {"loss": 1.0})) is not None
    assert 2000 < kept < 4000
    assert series.last == Report(100_000, {"loss": 1.0})
    assert series.add(Report(100_001, {"loss": None})), "what ends a trial at once is never left out"


def test_very_many_reports_leave_a_small_file_and_few_of_them_are_passed_on(tmp_path: Path) -> None:
    text = "".join(f'{{"step": {step}, "val_to_return": 0.5}}\n' for step in range(1, 30_001))
    trial = Trial(tmp_path, ResultSource())
    with trial.watch:
        trial.paths.reports.write_text(text)
    trial.watch.keep_less()
    assert len(trial.heard) <= 150
    heard = [report.step for report in trial.heard]
    assert all(later - earlier <= 1 + 0.11 * earlier for earlier, later in pairwise(heard))
    assert heard[0] == 1
    assert trial.watch.last == Report(30_000, {"val_to_return": 0.5})
    assert trial.paths.reports.stat().st_size < 150_000
    steps = [json.loads(line)["step"] for line in trial.paths.reports.read_text().splitlines()]
    assert steps[:1000] == list(range(1, 1001))
    assert all(later <= 1.003 * earlier for earlier, later in pairwise(steps[999:]))


def test_what_is_too_much_to_be_read_at_the_end_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_file, "MOST_BYTES", 1000)
    monkeypatch.setattr(report_watch, "LOOK_SECONDS", 600.0)
    trial = Trial(tmp_path, ResultSource())
    with trial.watch:
        trial.paths.reports.write_text("0.5\n" * 3000)
    assert trial.watch.notes[0].startswith("its last reports were not read")
    assert trial.watch.last is not None


def test_whatever_goes_wrong_costs_reports_alone(tmp_path: Path) -> None:
    def fail(_report: Report) -> None:
        raise AssertionError("a fault of ours")

    paths = TrialPaths(tmp_path, tmp_path / "checkpoint", tmp_path / "output.txt")
    with ReportWatch(ResultSource(), tmp_path, paths, fail) as watch:
        paths.reports.write_text('{"val_to_return": 0.5}\n')
    assert watch.last == Report(1, {"val_to_return": 0.5})
    assert "internal error" in watch.notes[0]
