"""The value in a file that a script writes: a table or JSON, as it stands there, or a reason that names the place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from candle_hpo.launch.measuring.metrics import metrics_of
from candle_hpo.launch.measuring.result_file import read_file
from conftest import Candle, input_text


@pytest.mark.parametrize(
    ("name", "text", "key", "value", "metrics"),
    [
        ("a.json", '{"loss": 0.5, "accuracy": 0.9, "curve": [1, 2]}', "loss", 0.5, {"accuracy": 0.9}),
        ("a.json", '{"test": {"loss": 2}, "epochs": 3}', "test.loss", 2.0, {"epochs": 3}),
        ("a.json", '[{"loss": 1}, {"loss": 2}]', "loss", 2.0, {}),
        ("a.json", '{"loss": 1, "a": 2, "a": 3}', "loss", 1.0, {}),
        ("a.jsonl", '{"loss": 1}\n{"loss": 3}\n', "loss", 3.0, {}),
        ("a.json", "0.25", None, 0.25, {}),
        ("a.csv", 'epoch,loss,note\n1,0.9,a\n2,0.8,"b\nc"\n\n', "loss", 0.8, {"epoch": 2.0, "note": "b\nc"}),
        ("a.csv", "epoch;loss\n1;0.9\n", "loss", 0.9, {"epoch": 1.0}),
        ("a.csv", "epoch\tloss\n1\t0.9\n", "loss", 0.9, {"epoch": 1.0}),
        ("a.tsv", "epoch\tloss\n1\t0.9\n", "loss", 0.9, {"epoch": 1.0}),
        ("a.csv", '\ufeff"epoch", "loss"\r\n1, "0.9"\r\n', "loss", 0.9, {"epoch": 1.0}),
        # Runs that were appended to one file: the columns are those of the last.
        ("a.csv", "epoch,loss\n1,0.9\nepoch,loss\n1,0.8\n", "loss", 0.8, {"epoch": 1.0}),
        ("a.csv", "epoch,loss\n1,0.9\nloss,rate,epoch\n0.8,1,5\n", "loss", 0.8, {"rate": 1.0, "epoch": 5.0}),
        ("a.csv", "a,loss,a\n1,0.9,2\n", "loss", 0.9, {}),
        ("a.csv", "0,1,2\n5,1,3\n", "1", 1.0, {"0": 5.0, "2": 3.0}),
        ("a.csv", "loss\n0.1D-03\n", "loss", 1e-4, {}),
    ],
)
def test_a_file_of_results(
    tmp_path: Path, name: str, text: str, key: str | None, value: float, metrics: dict[str, object]
) -> None:
    (tmp_path / name).write_text(text)
    assert read_file(tmp_path / name, key) == (value, metrics, ())


WHY = "; a decimal comma, a mark between thousands, or only a part of a row?"


@pytest.mark.parametrize(
    ("name", "text", "key", "reason"),
    [
        ("a.json", '{"loss": 1}', "accuracy", 'a.json has no "accuracy" (it has: loss)'),
        ("a.json", '{"loss": "low"}', "loss", "loss in a.json is low, not a number"),
        ("a.json", '{"loss": "1,5"}', "loss", "loss in a.json is 1,5, not a number"),
        ("a.json", '{"loss": "1_000"}', "loss", "loss in a.json is 1_000, not a number"),
        ("a.json", '{"loss": "0.5 ms"}', "loss", "loss in a.json is 0.5 ms, not a number"),
        ("a.json", '{"loss": NaN}', "loss", "loss in a.json is nan, not a finite number"),
        ("a.json", '{"loss": 1e999}', "loss", "loss in a.json is inf, not a finite number"),
        ("a.json", '{"loss": null}', "loss", "loss in a.json is None, not a number"),
        ("a.json", '{"loss": true}', "loss", "loss in a.json is True, not a number"),
        ("a.json", '{"loss": [0.5, 0.4]}', "loss", "loss in a.json is [0.5, 0.4], not a number"),
        ("a.json", '{"loss": 0.5, "loss": 0.4}', "loss", "loss in a.json is there 2 times (0.5, 0.4), not a number"),
        ("a.json", "{", "loss", "a.json holds no JSON"),
        ("a.json", '{\n"loss": 1,\n2', None, "a.json holds no JSON"),
        ("a.json", '{"loss": 1}{"loss": 2}', "loss", "a.json holds no JSON"),
        ("a.jsonl", '{"loss": 1}\n{"loss": 0.', "loss", 'the last line of a.jsonl is not whole: {"loss": 0.'),
        ("a.csv", "loss\n", "loss", "a.csv has no row below its headings"),
        ("a.csv", "", "loss", 'a.csv has no "loss" (it has: none)'),
        ("a.csv", "epoch,loss\n1,\n", "loss", "a.csv has no row below its headings with a loss"),
        ("a.csv", "epoch,loss\n1,0.5\nepoch,loss\n", "loss", "a.csv has no row below its headings"),
        ("a.csv", "epoch,acc\n1,0.5\n", "loss", 'a.csv has no "loss" (it has: epoch, acc)'),
        ("a.csv", "loss,loss\n1,2\n", "loss", "a.csv has 2 columns called loss"),
        ("a.csv", "loss;epoch\n0,5;1\n", "loss", "loss in a.csv is 0,5, not a number"),
        ("a.csv", "epoch,loss\n1,NA\n", "loss", "loss in a.csv is NA, not a number"),
        ("a.csv", "epoch,loss\n1,nan\n", "loss", "loss in a.csv is nan, not a finite number"),
        ("a.csv", "epoch,loss\n1,0.5 ms\n", "loss", "loss in a.csv is 0.5 ms, not a number"),
        (
            "a.csv",
            "epoch,loss,accuracy\n1,9.5,0.1\n3,1,231.50,0.900\n",
            "loss",
            f"line 3 of a.csv is longer than its headings: 4 cells, 3 headings (3 | 1 | 231.50 | 0.900){WHY}",
        ),
        (
            "a.csv",
            "epoch,loss,accuracy\n1,9.5,0.1\n3,1",
            "loss",
            f"line 3 of a.csv is shorter than its headings: 2 cells, 3 headings (3 | 1){WHY}",
        ),
        *(
            (
                "a.csv",
                f"epoch,loss\n1,0.5\n2,{cell}",
                "loss",
                f'a.csv ends within a line, and with "{cell}", only a part of loss; end its last line, too',
            )
            for cell in ("", "-", "0.", "1e-", "1.5e", "1.5E-0", "2.d+")
        ),
        # R's write.table gives its rows names, and no heading to these.
        (
            "a.csv",
            '"epoch","loss"\n"1",1,0.5\n',
            "loss",
            f"line 2 of a.csv is longer than its headings: 3 cells, 2 headings (1 | 1 | 0.5){WHY}",
        ),
    ],
)
def test_a_file_without_the_value_says_what_it_has(tmp_path: Path, name: str, text: str, key: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as caught:
        read_file(tmp_path / name, key)
    assert str(caught.value) == reason


def test_a_row_without_the_value_is_passed_over_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,loss,rate\n1,,1\n2,0.8,2\n3, ,3\n4,,4\n")
    note = "a.csv: the last row has no loss; the last one that has one counts"
    assert read_file(tmp_path / "a.csv", "loss") == (0.8, {"epoch": 2.0, "rate": 2.0}, (note,))


def test_a_value_at_the_very_end_of_a_file_may_be_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,loss\n1,0.2")
    note = "a.csv ends within a line; if that was cut off, loss is only a part of the value"
    assert read_file(tmp_path / "a.csv", "loss") == (0.2, {"epoch": 1.0}, (note,))


def test_metrics_are_what_a_table_can_hold() -> None:
    found = {"a": 1, "b": float("nan"), "c": "text", "d": [1], "e": True, "f": None, "g": 10**400, "h": "x" * 300}
    assert metrics_of(found) == {"a": 1, "b": None, "c": "text", "e": True, "f": None}


def test_notes_are_shown_once_and_kept_with_each_trial(candle: Candle, here: Path) -> None:
    (here / "model.sh").write_text("printf 'epoch,loss\\n1,0.5\\n2,\\n' > metrics.csv\n")
    control = 'model_script="model.sh"\nworkflow="grid"\nengine="local"\nresult_file="metrics.csv"\nresult_key="loss"'
    (here / "x.in").write_text(input_text(control, "", '{"x": 1}\n{"x": 2}'))
    note = "metrics.csv: the last row has no loss; the last one that has one counts"
    done = candle("submit-job", "x.in")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " ".join(done.stdout.split()).count(note) == 1
    assert note in " ".join(candle("status").stdout.split())
    for path in (here / "last-candle-job" / "run").glob("*/outcome.json"):
        assert json.loads(path.read_text())["outcome"]["notes"] == [note]


def test_another_table_below_is_not_read_as_rows_of_the_first(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("epoch,loss\n1,0.5\n2,0.4\n\nmetric,value\naccuracy,0.93\n")
    with pytest.raises(ValueError, match=r"line 5 of m.csv looks like other headings \(metric \| value\)"):
        read_file(file, "loss")
    file.write_text("model,loss\na,0.5\nb,NA\nc,0.25\n")
    assert read_file(file, "loss").value == 0.25


def test_other_ends_of_lines_within_a_text_end_no_line_of_json(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text('{"note": "a\u2028b", "loss": 0.5}\n{"note": "c\x85d", "loss": 0.25}\n')
    assert read_file(file, "loss").value == 0.25
