"""What `result_pattern` finds in a trial's output: the last number that a person would read there, or a reason."""

from __future__ import annotations

import re
import time
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candle_hpo.launch.measuring.result_pattern import ResultPattern

ESC = "\x1b"
LOSS = r"Test set loss: ([0-9.eE+-]+)"
FOLDER = Path(mkdtemp(prefix="candle_pattern_"))


def found(output: str | bytes, pattern: str) -> float:
    file = FOLDER / "output"
    file.write_bytes(output.encode() if isinstance(output, str) else output)
    return ResultPattern(pattern).find(file).value


@pytest.mark.parametrize(
    ("output", "pattern", "value"),
    [
        ("Test set loss: 9\nTest set loss: 1.5e-1\nbye\n", LOSS, 0.15),
        ("Test set loss: 9\r  1%\rTest set loss: 3\r", LOSS, 3.0),
        ("acc 0.5\n0.25\n", r"^[0-9.]+$", 0.25),
        ("Test set loss: 4\n" + "x" * 600_000 + "\n" + "y\n" * 400_000, LOSS, 4.0),
        ("x" * 300_000 + "\rTest set loss: 4\r" + "y" * 300_000, LOSS, 4.0),
        # Colours, and what else only a terminal acts on.
        (f"{ESC}[1mval_loss{ESC}[0m: {ESC}[32m0.240{ESC}[0m\n", r"val_loss.*?([0-9.]+)", 0.24),
        (f"{ESC}[1mval_loss{ESC}[0m: {ESC}[32m0.240{ESC}[0m\n", r"val_loss: ([0-9.]+)", 0.24),
        (f"{ESC}[1mval_loss {ESC}[0m: {ESC}[32m0.240 {ESC}[0m\n", r"val_loss.*?([0-9.]+)", 0.24),
        (f"{ESC}]0;loss: 7{ESC}\\loss: {ESC}(B{ESC}[38;2;1;2;3m1.5{ESC}[K\n", r"loss: ([0-9.]+)", 1.5),
        ("val_loss: 9.0\r   \rval_loss: 0.1", r"^val_loss: ([0-9.]+)", 0.1),
        ("loss: 0.9" + "\b" * 9 + "\rloss: 0.1" + "\b" * 9, r"loss: ([0-9.]+)", 0.1),
        ("2/9 loss: 0.9" + "\b" * 13 + "3/9 loss: 0.1\n", r"loss: ([0-9.]+)", 0.1),
        (f"loss: 0.9{ESC}[2K{ESC}[1Gloss: 0.1{ESC}[K\n", r"^loss: ([0-9.]+)", 0.1),
        (f"loss: 0.9{ESC}[1A\r50\n", r"loss: ([0-9.]+)", 0.9),
        (f"{ESC}[32m0.25{ESC}[0m\n", r"\x1b\[32m([0-9.]+)", 0.25),
        ("9\rloss: 0.3\r5", r"\rloss: ([0-9.]+)", 0.3),
        (b"caf\xe9 \xff loss: 0.5\n", r"loss: ([0-9.]+)", 0.5),
        ("perte à la fin : 0.5\n", r"à la fin : ([0-9.]+)", 0.5),
        # What stands around a number, and is not of it.
        ("loss=0.5, acc=0.7", r"loss=([0-9.]+)", 0.5),
        ("[0.5,0.7]", r"\[([0-9.]+)", 0.5),
        ("loss: tensor(0.5000, grad_fn=<NllLossBackward>)", r"loss.*?([0-9.]+)", 0.5),
        ("accuracy: 95%", r"accuracy: ([0-9.]+)", 95.0),
        ("accuracy: 9869/10000 (99%)", r"accuracy: ([0-9.]+)/", 9869.0),
        ("The loss is 0.25.\n", r"loss is ([0-9.]+)", 0.25),
        ("The loss is 0.25. Done.\n", r"loss is (\S+)", 0.25),
        ("loss: **0.5**", r"loss: \**([0-9.]+)", 0.5),
        ("loss: +8.7", r"loss: \+?([0-9.]+)", 8.7),
        ("weights.03-0.25.hdf5", r"weights\.\d+-([0-9.]+)\.hdf5", 0.25),
        ("10 123.4\n11 123.5\n", r"^\d+ (\S+)", 123.5),
        ("epoch 3 0.5\n", r"epoch\s+\d+\s+([0-9.]+)", 0.5),
        ("loss (epoch 3): 0.5\n", r"loss.*: ([0-9.]+)", 0.5),
        ("Epoch 3 acc nan loss: 0.5\n", r"Epoch.*loss: ([0-9.]+)", 0.5),
        ("time: 980ms", r"time: ([0-9.]+)ms", 980.0),
        ("loss 0.5 accuracy: 0.9\n", r"loss.*?([0-9.]+)", 0.5),
        ("loss (on the test set): 0.5, accuracy: 0.9\n", r"loss.*?([0-9.]+)", 0.5),
        ("Traceback (most recent call last):\n  File 'x'\nValueError: caught\nloss: 0.5\n", r"loss: ([0-9.]+)", 0.5),
        ("loss: 0.5\nno nan in loss\n", r"loss: ([0-9.]+)", 0.5),
        ("train_loss: 0.7\ntrain_loss: 0.5\n", r"loss: ([0-9.]+)", 0.5),
        ("loss: 0.5 at step: 30\n", r"(?<=loss: )[0-9.]+(?= at)", 0.5),
        ("loss: 0.5\n", r"(?<=loss: )[0-9.]+", 0.5),
        ("loss: 0.1D-03", r"loss: (\S+)", 1e-4),
        # What shows which line it is may stand behind the number, before it, or in another line.
        ("loss: 0.5 (validation)\nloss: nan (training)\n", r"loss: ([0-9.]+) \(validation\)", 0.5),
        ("loss: 0.5 - val_loss: 0.7\n", r"\bloss: ([0-9.]+)", 0.5),
        ("loss: 0.5\nval_loss: 0.7\n", r"\bloss: ([0-9.]+)", 0.5),
        ("loss: 0.5, best loss: 0.3\n", r"^loss: ([0-9.]+)", 0.5),
        ("loss: 0.5, best loss: 0.3\n", r"best loss: ([0-9.]+)", 0.3),
        ("loss: 0.5\nbest loss: 0.3\n", r"loss: ([0-9.]+)", 0.3),
        ("loss: 0.5 loss: 0.3\n", r"loss: ([0-9.]+)", 0.3),
        ("loss: 0.5\nval/loss: 0.7\n", r"^loss: ([0-9.]+)", 0.5),
        ("val_loss: 0.7\nloss: 0.5\n", r"loss: ([0-9.]+)", 0.5),
        ("val_loss: 0.7\nval_loss: 0.5\n", r"loss: ([0-9.]+)", 0.5),
        ("epoch 1 loss: 0.5 val_loss: 0.7\n", r"epoch.*val_loss: ([0-9.]+)", 0.7),
        ("epoch 1 loss: 0.5 val_loss: 0.7\n", r"epoch.*?loss: ([0-9.]+)", 0.5),
        ("loss: 0.5 - val_loss: 0.7\n", r"val.*loss: ([0-9.]+)", 0.7),
        ("loss: 0.5\n1/3 val_loss: 0.7\n", r".*val\S*loss: ([0-9.]+)", 0.7),
        ("epoch 1 val_loss: 0.7\n", r"epoch.*loss: ([0-9.]+)", 0.7),
        ("loss:\n  0.25\n", r"loss:\n\s*([0-9.]+)", 0.25),
        ("loss 0.5 # 7\n", "(?x) loss [ ] ([0-9.]+)  # (the number", 0.5),
        ("Loss: 3\nLOSS: 2\n", r"(?i)loss: ([0-9.]+)", 2.0),
        ("error: 2\n", r"(?:loss|error): ([0-9.]+)", 2.0),
        ("step 7 epoch 3: 0.5\n", r"step (?P<step>\d+) epoch (?P<epoch>\d+): (?P<loss>\S+)", 0.5),
    ],
)
def test_the_last_number_that_is_printed_is_the_value(output: str | bytes, pattern: str, value: float) -> None:
    assert found(output, pattern) == value


@pytest.mark.parametrize(
    ("output", "pattern", "quoted"),
    [
        ("", LOSS, "it printed nothing"),
        ("nothing", LOSS, "result_pattern found nothing in its output"),
        ("acc 0.5\nacc 0.25", r"^acc \S+$", 'found "acc 0.25", not a number, in "acc 0.25"'),
        # Something else stands where the last number should.
        ("Test set loss: 0.2\nTest set loss: nan\n", LOSS, 'last line with its label: "Test set loss: nan"'),
        ("Test set loss: 0.2\nTest set loss: nan", r"loss: (.*)", 'found nan, not a finite number, in "Test set loss'),
        ("loss: 2\nloss: -0.5\n", r"loss: ([0-9.]+)", 'last line with its label: "loss: -0.5"'),
        ("loss: 2\nloss: nan\n" + "x\n" * 300_000, r"loss: ([0-9.]+)", 'last line with its label: "loss: nan"'),
        ("0.25\nnan\n", r"^([0-9.]+)$", 'last line with its label: "nan"'),
        ("0.25\n-0.5\n", r"^[0-9.]+$", 'last line with its label: "-0.5"'),
        ("loss: 3\nloss: inf\n", r"(?<=loss: )[0-9.]+", 'last line with its label: "loss: inf"'),
        ("2 is the loss\nnan is the loss\n", r"([0-9.]+) is the loss", 'last line with its label: "nan is the loss"'),
        ("val_loss: 0.5\nval loss: nan\n", r"val_loss: ([0-9.]+)", 'last line with its label: "val loss: nan"'),
        ("a loss: 2 (val)\na loss: nan (val)\na loss: 3 (train)", r"loss: (\d+) \(val\)", '"a loss: nan (val)"'),
        # The group stops inside a number.
        ("loss: 1.2e-05\n", r"loss: ([0-9.]+)", 'found 1.2, which is a part of what is written there, in "loss: 1.2e'),
        *(
            (f"loss: {text}\n", pattern, f'"loss: {text}"')
            for text in (
                "1,234.57", "1.234,57", "1,5", "5_000", "1'234.5", "1 234.5", "1\u00a0234.5", "1\u202f234", "-8.7",
                "\u22128.7", "0.1D-03", "0.123-103", "1e5", "5.e-3", "0x1.8p3", "0x1p-3", "1.#QNAN", "nan0.5", "0.5nan",
                "1.2\u00d710\u207b\u2075", "1.2 x 10^-5", "1.2*10**-5", "1+2j", "1:30", "2m30s", "12ms", "1.2k",
                "float32", "- 8.7", "10\u00b2", "5\u00bd", "1.5 e-05", "1.2 x 10-5", "1.2 \u00d7 10\u22125", "1/3",
                "1.5(2)e-3", "0.5 -> 0.4", "0.500 --> 0.400", "0.5 to 0.4", "1.5 M", "3 k",
            )
            for pattern in (r"loss: .*?([0-9.]+)", r"loss: ([0-9.]+)", r"loss: -?\s?([0-9.]+)")
        ),
        ("loss: 12.5\n", r"loss: \d([0-9.]+)", "found 2.5"),
        ("loss: 3.75\n", r"loss: (\d+)\.", "found 3"),
        ("loss: 3.75\n", r"loss.*([0-9.]+)", "found 5"),
        ("change: -8.7\n", r"change: [+-]([0-9.]+)", "found 8.7"),
        (b"loss: 1\xa0234\n", r"loss: ([0-9.]+)", "found 1, which"),
        # A wildcard skips the value.
        ("loss: nan (epoch 3)\n", r".*loss.*?([0-9.]+)", 'skipped ": nan (epoch" and found 3 in "loss: nan (epoch 3)"'),
        ("loss: diverged, epoch 3\n", r"loss.*?([0-9.]+)", 'skipped ": diverged, epoch" and found 3'),
        ("loss: 0.5 (3 s)\n", r"loss.* \(?([0-9.]+)", 'skipped ": 0.5 (" and found 3'),
        ("loss: diverged (epoch 3)\n", r"loss:.*?([0-9.]+)", 'skipped ": diverged (epoch" and found 3'),
        ("loss: -, acc: 0.9\n", r"loss.*?([0-9.]+)", 'skipped ": -, acc:" and found 0.9'),
        ("loss: , 0.9\n", r"loss.*?([0-9.]+)", 'skipped ": ," and found 0.9'),
        ("loss: nan (epoch 3)\n", r"loss(?:.*?)([0-9.]+)", 'skipped ": nan (epoch" and found 3'),
        ("loss: nan (epoch 3)\n", r"(?:loss.*?)([0-9.]+)", 'skipped ": nan (epoch" and found 3'),
        ("loss: nan epoch 3\n", r"loss[a-z :]*([0-9.]+)", 'skipped ": nan epoch" and found 3'),
        ("loss: nan acc: 0.5\n", r"loss[^0-9]*([0-9.]+)", 'skipped ": nan acc:" and found 0.5'),
        # A wildcard finds a number that only says of what the value is.
        ("loss at step 5000: 0.3\n", r"loss.*?([0-9.]+)", 'skipped "at step" and found 5000'),
        ("loss (epoch 3) = -0.3\n", r"loss.*?([0-9.]+)", 'skipped "(epoch" and found 3'),
        ("recall@10: 0.8\n", r"recall.*?([0-9.]+)", 'skipped "@" and found 10'),
        ("loss[3]: 0.8\n", r"loss.*?([0-9.]+)", 'skipped "[" and found 3'),
        ("loss: 0.5\nTraining loss converged after 12 epochs\n", r"loss.*?([0-9.]+)", 'skipped "converged after"'),
        ("loss: 0.5\nTraining loss converged after 12 epochs\n", r"loss[^0-9]*([0-9.]+)", 'skipped "converged after"'),
        ("No improvement in loss for 3 epochs, stopping\n", r"loss\D*([0-9.]+)", 'skipped "for"'),
        ("Epoch 3: val_loss did not improve from 0.116\n", r"val_loss.*?([0-9.]+)", 'skipped "did not improve from"'),
        ("Best accuracy reached, training took 12.5\n", r"accuracy.* ([0-9.]+)", 'skipped "reached, training took"'),
        # It is followed by something that says otherwise.
        ("val_loss: 0.5\nval_loss is nan, stopping training\n", r"val_loss: ([0-9.]+)", '"val_loss is nan, stopping'),
        ("loss: 0.5\nWARNING: loss is NaN at epoch 2\n", r"loss: ([0-9.]+)", '"WARNING: loss is NaN at epoch 2"'),
        ("loss=0.5\nloss is not finite: nan\n", r"loss=([0-9.]+)", '"loss is not finite: nan"'),
        ("loss: 0.5\nBatch 3: Invalid loss, terminating training\n", r"loss: ([0-9.]+)", '"Batch 3: Invalid loss'),
        ("p = 0.05\np < 0.001\n", r"p = ([0-9.]+)", "p < 0.001"),
        (
            "loss: 0.5\nTraceback (most recent call last):\n  File 'x', line 1\nRuntimeError: out of memory\nmore\n",
            r"loss: ([0-9.]+)",
            'is followed by "RuntimeError: out of memory"',
        ),
        ("loss: 0.5\nError in f()\nExecution halted\n", r"loss: ([0-9.]+)", 'by "Execution halted"'),
        ("loss: 0.5\nNaN detected in the validation loss\n", r"loss: ([0-9.]+)", '"NaN detected in the validation'),
        ("loss: 0.5\nval_loss: 0.7\n", r"(?<=loss: )([0-9.]+)", "fits two labels"),
        ("loss: 0.5\nloss: 0.", r"loss: ([0-9.]+)", "found 0., with which the output is cut off"),
        # Of two values, the last is another one's.
        ("val_loss: 0.51 - train_loss: 0.3\n", r"loss: ([0-9.]+)", "fits two labels"),
        ("top1_acc: 0.5\ntop5_acc: 0.9\n", r"acc: ([0-9.]+)", "fits two labels"),
        ("loss: 0.5, best loss: 0.3\n", r"loss: ([0-9.]+)", 'fits two labels in "loss: 0.5, best loss: 0.3"'),
        ("train loss: 0.5 | test loss: 0.3\n", r"loss: ([0-9.]+)", "fits two labels in"),
        ("loss: 0.5\nval_loss: 0.7\n", r"(?<=loss: )[0-9.]+", 'and last in "val_loss: 0.7"'),
        (
            "loss: 0.5 - val_loss: 0.7\n",
            r"loss: ([0-9.]+)",
            'fits two labels, in "loss: 0.5 - val_loss: 0.7" and last in "loss: 0.5 - val_loss: 0.7"',
        ),
        (
            "loss: 0.5\nval_loss: 0.7\n",
            r"loss: ([0-9.]+)",
            'fits two labels, in "loss: 0.5" and last in "val_loss: 0.7" (loss: ([0-9.]+)); '
            r"write the whole label, or begin it with \b or ^",
        ),
        ("loss: 0.5\n" + "x\n" * 300_000 + "val_loss: 0.7\n", r"loss: ([0-9.]+)", '"val_loss: 0.7"'),
        ("MSE: 0.5\nRMSE: 0.7\n", r"MSE: (\S+)", 'fits two labels, in "MSE: 0.5" and last'),
        ("accuracy: 0.5\ntop5_accuracy: 0.99\n", r"accuracy: (\S+)", '"top5_accuracy: 0.99"'),
        ("val_loss: 9\nloss: 0.5\nval/loss: 0.7\n", r"loss: (\S+)", '"val/loss: 0.7"'),
        ("loss: 0.5\nval-loss: 0.7\n", r"(?<=loss: )[0-9.]+|loss: ([0-9.]+)", '"val-loss: 0.7"'),
        ("loss: 0.5\nval_loss: 0.7\n", r".*loss: ([0-9.]+)", '"val_loss: 0.7"'),
        ("epoch 1 loss: 0.5 val_loss: 0.7\n", r"(?i)Epoch.*LOSS: ([0-9.]+)", "fits two labels"),
        # Something is written over it.
        ("loss: 0.9\b\b\b0.1\n", r"loss: ([0-9.]+)", 'found 0.9, which may be written over, in "loss: 0.9\ufffd0.1"'),
        ("loss: 0.51 \b\b2\n", r"loss: ([0-9.]+)", "found 0.51, which may be written over"),
        (f"loss: 0.95\b{ESC}[K\n", r"loss: ([0-9.]+)", "found 0.95, which may be written over"),
        (f"loss: 0.95{ESC}[D{ESC}[0K\n", r"loss: ([0-9.]+)", "found 0.95, which may be written over"),
        (f"loss: 0.9{ESC}[3D0.1\n", r"loss: ([0-9.]+)", "found 0.9, which may be written over"),
        (f"loss: 0.9{ESC}[7G0.1\n", r"loss: ([0-9.]+)", "found 0.9, which may be written over"),
        ("loss: 0.9" + "\b" * 9 + "loss: nan\n", r"loss: ([0-9.]+)", "in the last line with its label"),
    ],
)  # fmt: skip
def test_what_is_not_the_last_number_as_a_whole_is_a_failure_that_quotes_it(
    output: str | bytes, pattern: str, quoted: str
) -> None:
    with pytest.raises(ValueError, match=r"\Ait printed nothing|\A(the last match of )?result_pattern ") as caught:
        found(output, pattern)
    assert quoted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_named_groups_are_metrics() -> None:
    (FOLDER / "output").write_text("epoch 3: 0.5 acc 0.9 by adam, grad nan\n")
    pattern = r"epoch (?P<epoch>\d+): (?P<loss>\S+) acc (?P<acc>[0-9.]+) by (?P<by>\w+), grad (?P<grad>\S+)"
    assert ResultPattern(pattern).find(FOLDER / "output") == (0.5, {"acc": 0.9, "by": "adam", "grad": None}, ())


def test_a_metric_is_a_whole_number_or_the_trial_fails() -> None:
    with pytest.raises(
        ValueError, match=re.escape('found 9.5, which is a part of what is written there, in "1 acc 9.5e-3')
    ):
        found("1 acc 9.5e-3\n", r"(?P<loss>\d+) acc (?P<acc>[0-9.]+)")


def test_a_match_over_the_boundary_of_two_blocks_is_found() -> None:
    for before in range(262_130, 262_150):
        assert found("loss:\n1\n" + "x\n" + "loss:\n2\n" + "y" * before + "\n", r"loss:\n([0-9.]+)") == 2


@pytest.mark.slow
def test_a_line_longer_than_is_read_at_once_is_searched_from_its_end() -> None:
    assert found("loss: 1\n" + "x" * (1 << 24) + " loss: 2 " + "x" * 1000, r"loss: ([0-9.]+)") == 2
    with pytest.raises(ValueError, match="found 34"):  # the rest of 1234, of which the beginning is not read
        found("1234" + " x" * ((1 << 23) - 1), r"([0-9]+)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("piece", "times", "pattern"),
    [
        ("loss=0.1 ", 28_000, r"loss=(?P<loss>[\d.]+), acc=(?P<acc>[\d.]+)"),
        ("loss=0.1 ", 28_000, r"loss.*?acc=([0-9.]+)"),
        ("50%\b\b\b", 2_000_000, r"loss: ([0-9.]+)"),
        (f"50%{ESC}[3D", 1_000_000, r"loss: ([0-9.]+)"),
    ],
    ids=["two groups", "a wildcard", "backspaces", "moves"],
)
def test_a_long_line_takes_no_time_that_grows_as_its_square(piece: str, times: int, pattern: str) -> None:
    def seconds(times: int) -> float:
        began = time.process_time()
        assert found(f"loss: 3, loss=3, acc=3\n{piece * times}\n", pattern) == 3
        return time.process_time() - began

    assert seconds(times) < 40 * max(seconds(times // 10) for _ in range(3))  # its square would be a hundred times


def test_what_is_at_the_beginning_of_a_long_line_is_not_passed_over() -> None:
    for before in (0, 6_980, 6_995, 7_985, 7_990, 7_995, 13_990):
        assert found("loss: 1\n" + "x" * before + " loss: 2.5 " + "y" * 50_000, r"loss: ([0-9.]+)") == 2.5


# --- Whatever a script prints last comes back as that number, or as a failure that quotes it.

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-2000, 2000),
    st.integers(-5_000_000, 5_000_000).map(float),
    st.sampled_from([0.0, 1.0, 5.0, 0.5, 1e-5, 1.2e-5, 1234.57, 1e22, 1e100, -8.7]),
)


def _grouped(number: float, digits: int, mark: str, point: str) -> str:
    return f"{number:,.{digits}f}".translate({ord(","): mark, ord("."): point})


@st.composite
def written_numbers(draw: st.DrawFn) -> tuple[str, float | None]:
    """Return a number as some language writes it, with what a person reads there; None is not a number."""
    number = draw(NUMBERS)
    digits = draw(st.integers(0, 12))
    style = draw(
        st.sampled_from(["repr", "f", "e", "E", "g", "+", "D", "no letter", "no zero", "hex", "group", "no number"])
    )
    if style == "no number":
        return draw(
            st.sampled_from(
                ["nan", "-nan", "NaN", "inf", "-Infinity", "NA", "None", "1.#QNAN", "****", "-", "diverged"]
            )
        ), None
    if style == "group":
        mark, point = draw(
            st.sampled_from(
                [(",", "."), (".", ","), ("'", "."), (" ", "."), ("\u00a0", ","), ("\u202f", ","), ("_", ".")]
            )
        )
        digits = max(digits, int(mark == "."))  # 1.000 is a number that a person reads in two ways
        limited = max(-1e15, min(1e15, number))
        return _grouped(limited, digits, mark, point), float(f"{limited:.{digits}f}")
    texts = {
        "repr": repr(number), "f": f"{number:.{digits}f}", "e": f"{number:.{digits}e}", "E": f"{number:.{digits}E}",
        "g": f"{number:.{digits}g}", "+": f"{number:+.{digits}g}", "hex": number.hex(),
    }  # fmt: skip
    if style in texts:
        text = texts[style]
        value = float.fromhex(text) if style == "hex" else float(text)
    else:
        text = f"{number:.{digits + 1}e}"
        value = float(text)
        if style == "D":
            text = text.replace("e", "D")
        elif style == "no letter" and re.search(r"e[+-]\d\d\d", text):
            text = text.replace("e", "")  # Fortran's, where the exponent has three digits
        elif style == "no zero" and abs(number) < 1:
            text = f"{number:.{digits + 1}f}".replace("0.", ".", 1)
            value = float(text)
    if draw(st.booleans()):
        text = text.replace("-", "\u2212")
    return text, value


AROUND = st.sampled_from(
    [
        ("", ""), (" ", " "), ("", "."), ("", ","), ("(", ")"), ("[", "]"), ("'", "'"), ("**", "**"), ("tensor(", ")"),
        ("$", ""), ("", "%"), ("", "s"), ("", " ms"), ("", "k"), ("<", ">"), ("", " (epoch 3/10)"), ("", ", acc: 0.9"),
        ("", " +/- 0.1"), ("#", "#"),
        (f"{ESC}[32m", f"{ESC}[0m"), (f"{ESC}[1;31m", f"{ESC}[0m (best 3)"), ("", " - 12s 3ms/step"), ("", f"{ESC}[K"),
        ("", "\r"), ("", "\u00b10.1"), ("~", ""), ("\t", "\t7"), ("", "\b\b\b\r"),
    ]
)  # fmt: skip
LABELS = st.sampled_from(
    ["loss: ", "val_loss: ", "loss=", "loss = ", "loss:", "Test loss: ", f"{ESC}[1mloss{ESC}[0m: "]
)
# As people write them; and what a line must have for such a pattern to be about it.
PATTERNS = st.sampled_from(
    [
        (r"loss: (\S+)", "loss: "),
        (r"loss: ([0-9.]+)", "loss: "),
        (r"loss[:=]\s*([0-9.eE+-]+)", "loss[:=]"),
        (r"^val_loss: ([0-9.]+)", "^val_loss: "),
        (r"loss: (\d+\.\d+)", "loss: "),
        (r".*loss.*?([0-9.]+)", "loss"),
        (r"loss\s*[:=]\s*(\S+)", r"loss\s*[:=]"),
        (r"loss\s*[:=]\s*-?([0-9.]+)", r"loss\s*[:=]"),
        (r"loss.* ([0-9.]+)", "loss.* "),
        (r"loss.*([0-9.]+)", "loss"),
        (r"loss\D*([0-9.]+)", "loss"),
        (r"(?i)LOSS\W*(\d+)", "loss"),
        (r"\bloss[:= ]+(?P<loss>[-+]?\d*\.?\d+)", r"\bloss[:= ]"),
        (r"(?<=loss: )[0-9.]+", "loss: "),
        (r"loss[^0-9]*([0-9.]+).*", "loss"),
        (r"(?:val_)?loss\s*[:=]\s*([-0-9.]+)", r"loss\s*[:=]"),
        (r"loss: (.*)$", "loss: "),
        (r"loss\s*[:=]\s*([0-9.,]+)", r"loss\s*[:=]"),
        (r"(?:loss|error)\S*\s*[-+]?(\d+(?:\.\d+)?)", "loss"),
        (r"loss[^\n]*?(\d+\.?\d*(?:[eE][-+]?\d+)?)", "loss"),
    ]
)
EARLIER = st.lists(st.sampled_from(["0.75", "3", "1e-3", "nan", "12.5"]), max_size=3)
LATER = st.sampled_from(["", "\n", "\nDone.\n", "\nsaved to model-3.pt, 12 s\n", "\r\n", "\n" + "x\n" * 50])


def as_seen(line: str) -> str:
    return re.sub(f"{ESC}\\[[0-9;]*[mK]|[\b\r]", "", line).strip()


@pytest.mark.slow
@settings(max_examples=1500)
@given(EARLIER, LABELS, written_numbers(), AROUND, LATER, PATTERNS)
def test_what_is_printed_last_is_the_value_or_the_reason(
    earlier: list[str],
    label: str,
    number: tuple[str, float | None],
    around: tuple[str, str],
    later: str,
    about: tuple[str, str],
) -> None:
    (text, value), (pattern, head) = number, about
    line = label + around[0] + text + around[1]
    output = "".join(f"{label}{each}\n" for each in earlier) + line + later
    try:
        got = found(output, pattern)
    except ValueError as error:
        is_no_such_line = "found nothing in its output" in str(error)
        assert as_seen(line)[:150] in str(error) or (is_no_such_line and not re.search(head, as_seen(line)))
    else:
        assert value is not None
        assert got == value


@settings(max_examples=500)
@given(
    EARLIER,
    written_numbers(),
    st.sampled_from([r"^([0-9.]+)$", r"^[0-9.]+$", r"^(\S+)$", r"^\s*([0-9.eE-]+)\s*$", r"^(.+)$"]),
)
def test_the_same_of_numbers_that_stand_alone(
    earlier: list[str], number: tuple[str, float | None], pattern: str
) -> None:
    text, value = number
    if not re.search(r"\d|nan|inf", text, re.IGNORECASE):
        return  # a line that no label makes the value's
    try:
        got = found("\n".join([*earlier, text, ""]), pattern)
    except ValueError as error:
        assert text[:150] in str(error)
    else:
        assert got == value


@pytest.mark.parametrize(
    ("printed", "pattern"),
    [
        ("loss: 0.5 acc: .5\nloss: nan acc: nan\n", "loss: ([0-9.]+) acc: [0-9.]+"),
        ("loss: .5 acc: .1\nloss: .4 acc: nan\n", "loss: ([0-9.]+) acc: [0-9.]+"),
        ("loss: 0.5 t: 1.5s\nloss: nan t: 2s\n", r"loss: ([0-9.]+) t: \d\.\ds"),
        ("Epoch 9/12 loss .111\nEpoch 12/12 loss .083\n", r"Epoch \d/12 loss ([0-9.]+)"),
        ("f= 1.0E+00\nf=-1.0E+00\n", "f= ([0-9.E+-]+)"),
        ("loss:  9.5\nloss: 10.5\n", "loss:  ([0-9.]+)"),
        ("loss: 0.2\nloss:nan\n", "loss: ([0-9.eE+-]+)"),
        ("LOSS =   99999.500\nLOSS =-99999.500\n", "LOSS = +([0-9.-]+)"),
        ("    1    0.5\n   10    0.4\n", r"^    \d    ([0-9.]+)"),
        ("val_loss: 9.0\n\r 33%|x | 1/3 [0.1s]val_loss: 0.5\n", "^val_loss: ([0-9.]+)"),
    ],
)
def test_guesses_around_the_number_do_not_hide_a_later_line(tmp_path: Path, printed: str, pattern: str) -> None:
    """At other numbers beside it, at how these are aligned, and at where the line begins."""
    output = tmp_path / "output"
    output.write_text(printed)
    with pytest.raises(ValueError, match="finds no number in the last line with its label: "):
        ResultPattern(pattern).find(output)


@pytest.mark.parametrize(
    ("printed", "pattern", "value"),
    [
        ("loss: 0.5\nval_loss: 0.7\n", "^loss: ([0-9.]+)", 0.5),
        ("epoch 9: acc 0.9, loss 0.3\nepoch 10: acc 0.93, loss 0.2\n", r"epoch \d+: acc ([\d.]+), loss [\d.]+", 0.93),
        ("  1  0.5\n 10  0.4\n", r"^\s*\d+\s+([0-9.]+)$", 0.4),
        ("Accuracy: 93.1%\nDone in 3 s\n", "Accuracy: ([0-9.]+)%", 93.1),
    ],
)
def test_guesses_around_the_number_that_hold(tmp_path: Path, printed: str, pattern: str, value: float) -> None:
    output = tmp_path / "output"
    output.write_text(printed)
    assert ResultPattern(pattern).find(output).value == value


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"^(?P<step>\d+) loss (?P<loss>\S+)", "{} loss {}\n"),
        (r"^(?P<step>\d+)\t(?P<loss>\S+)$", "{}\t{}\n"),
        (r"(?P<loss>[\d.]+) after (?P<step>\d+)$", "{1} after {0}\n"),
    ],
)
def test_a_step_beside_a_line_of_numbers_is_whole(pattern: str, line: str) -> None:
    text = "".join(line.format(step, 1 / step) for step in (1, 2, 4))
    found = list(ResultPattern(pattern).occurrences(text, 0))
    assert [(each.step, each.value, each.refused) for each in found] == [(1, 1.0, ""), (2, 0.5, ""), (4, 0.25, "")]


def test_a_step_and_a_value_of_three_digits_are_two_numbers() -> None:
    found = list(ResultPattern(r"^(?P<step>\d+) (?P<loss>\S+)$").occurrences("1 293.5\n2 100\n12 250.25\n", 0))
    assert [(each.step, each.value) for each in found] == [(1, 293.5), (2, 100), (12, 250.25)]
    (refused,) = ResultPattern(r"^step (?P<step>\d+).* loss (?P<loss>\S+)$").occurrences("step 1 000 loss 5\n", 0)
    assert refused.step is None
