"""`candle init` as a user types it, in a terminal and without one."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from candle_hpo.commands.init import init
from candle_hpo.commands.init_questions import NotAnAnswer, numbers_of
from candle_hpo.commands.screen import Screen
from conftest import Candle, gone

SCRIPT = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.1)
p.add_argument("--units", type=int, default=8)
p.add_argument("--data", required=True)
a = p.parse_args()
for epoch in range(3):
    print(f"epoch {epoch}: loss {a.lr + 2 - epoch:.3f} score {10 * a.lr:.3f}")
"""


@pytest.fixture
def script(here: Path) -> Path:
    path = here / "train.py"
    path.write_text(SCRIPT)
    return path


class Terminal:
    """A command in a terminal of 80 columns: what it shows, and what is typed."""

    def __init__(self, here: Path, *arguments: str) -> None:
        self._end, inside = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "candle_hpo", *arguments],
            cwd=here,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env={**os.environ, "COLUMNS": "80"},
            start_new_session=True,
        )
        os.close(inside)
        self.shown = ""

    def answer(self, question: str, text: str) -> None:
        """Type a line once the question is there."""
        deadline = time.monotonic() + 60
        while question not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._end], [], [], 1)[0]:
                self.shown += os.read(self._end, 10_000).decode(errors="replace")
        os.write(self._end, f"{text}\n".encode())

    def status(self) -> int:
        """Wait for the end, and return the exit status."""
        while True:
            try:
                piece = os.read(self._end, 10_000)
            except OSError:  # nobody has the other end any more
                break
            if not piece:
                break
            self.shown += piece.decode(errors="replace")
        os.close(self._end)
        return self.process.wait(timeout=60)


def test_the_questions_of_a_terminal_make_the_file(script: Path, here: Path) -> None:
    terminal = Terminal(here, "init", "train.py", "--run")
    terminal.answer("needs a value for --data:", "x")
    terminal.answer("should be searched? [1 2]", "3")
    terminal.answer("or leave with Ctrl-C", "2")
    terminal.answer("is the objective? [1]", "score")
    assert terminal.status() == 0, terminal.shown
    text = (here / "train.in").read_text()
    assert "data = 'x'" in text
    assert 'direction="maximize"' in text
    assert '\n  {"name": "units"' in text
    assert '\n  # {"name": "lr"' in text
    assert "Nobody was asked" not in text
    assert max(map(len, terminal.shown.splitlines())) <= 80 + len(str(sys.executable))


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("1", [1]),
        ("2, 1", [2, 1]),
        ("units lr", [2, 1]),
        ("LR,units,lr", [1, 2]),
        ("Test loss", [4]),
        ("un 3", [2, 3]),
        ("all", [1, 2, 3, 4]),
    ],
)
def test_an_answer_has_numbers_or_names(answer: str, numbers: list[int]) -> None:
    assert numbers_of(answer, ["lr", "units", "depth", "Test loss"]) == numbers


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("x", '"x" is none of these$'),
        ("lr detph", '"detph" is none of these; did you mean "depth"?'),
        ("d e", '"d" begins depth and degree'),
        ("1.5", '"1.5" is none of these$'),
    ],
)
def test_what_is_not_in_the_list_is_asked_for_again_with_the_reason(answer: str, said: str) -> None:
    with pytest.raises(NotAnAnswer, match=said):
        numbers_of(answer, ["lr", "depth", "degree"])


def test_no_line_is_broken_within_a_word() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=40, highlight=False)
    Screen(console).say("  note  x.in:4: the script does not seem to have --a-very-long-option-name, which lr becomes")
    Screen(console).say("Stopped by Ctrl-C, it says: candle resume X002 --retry-failed continues it")
    Screen(console).copy("  a command that is to be copied as it is, whatever its length")
    lines = shown.getvalue().splitlines()
    assert lines[:-1] == [
        "  note  x.in:4: the script does not",
        "        seem to have",
        "        --a-very-long-option-name,",
        "        which lr becomes",
        "Stopped by Ctrl-C, it says:",
        "candle resume X002 --retry-failed",
        "continues it",
    ]
    assert lines[-1].endswith("whatever its length")


def test_a_value_that_is_asked_for_is_of_its_kind(script: Path, here: Path) -> None:
    script.write_text(SCRIPT.replace('"--data", required=True', '"--data", type=float, required=True'))
    terminal = Terminal(here, "init", "train.py")
    terminal.answer("needs a value for --data:", "half")
    terminal.answer('"half" is not a number; please answer with a value', "0.5")
    terminal.answer("should be searched?", "")
    terminal.answer("to see what it measures?", "no")
    assert terminal.status() == 0, terminal.shown
    assert "data = 0.5" in (here / "train.in").read_text()


def test_no_message_is_broken_within_a_word(script: Path, here: Path) -> None:
    (here / "train.in").write_text(
        f'&control\n  model_script="{script}"\n  workflow="random"\n  a_keyword_too_much="1"\n'
    )
    terminal = Terminal(here, "check", "train.in", "--set", f"link={'far/' * 9}data")
    assert terminal.status() == 2
    lines = terminal.shown.splitlines()
    assert max(len(each) for each in lines if " " in each) <= 80
    assert "relative paths and $(pwd) are taken from where you run candle" in " ".join(terminal.shown.split())


def test_a_file_that_is_not_there_may_be_one_that_is(candle: Candle, script: Path, here: Path) -> None:
    assert candle("init", "trian.py").stderr == 'trian.py: there is no such file; did you mean "train.py"?\n'
    (here / "a.in").write_text('&control\n  model_script="$(pwd)/trains.py"\n  workflow="random"\n/\n')
    assert 'trains.py does not exist; did you mean "train.py"?' in candle("check", "a.in").stderr
    (here / "runs").mkdir()
    gone = candle("check", "run/of/a.in").stderr
    assert gone == 'run/of/a.in: there is no such file; did you mean "runs"?\n'


def test_ctrl_c_leaves_nothing(script: Path, here: Path) -> None:
    script.write_text(SCRIPT + "import time\ntime.sleep(600)\n")
    terminal = Terminal(here, "init", "train.py", "--run", "--", "--data", "x")
    terminal.answer("should be searched?", "")
    terminal.answer("Running train.py", "")
    deadline = time.monotonic() + 60
    params = here / "candle_generated_files" / "init_run" / "params.json"
    while not params.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.status() == 130
    assert not list(here.glob("*.in"))
    assert gone(terminal.process.pid)


def test_the_end_of_the_input_leaves_nothing(script: Path, here: Path) -> None:
    terminal = Terminal(here, "init", "train.py")
    terminal.answer("needs a value for --data:", "\x04\x04")
    assert terminal.status() == 130
    assert not list(here.glob("*.in"))


def test_without_a_terminal_the_file_says_what_nobody_was_asked(candle: Candle, script: Path, here: Path) -> None:
    done = candle("init", "train.py", "--run", "--", "--data", "x", "--lr", "0.5")
    assert done.returncode == 0, done.stderr
    text = (here / "train.in").read_text()
    assert "# Nobody was asked" in text
    assert "lr = 0.5" in text
    assert '# stopping="asha"' in text
    assert "(?P<epoch>" in text
    checked = candle("check", "train.in")
    assert checked.returncode == 0, checked.stderr
    assert "Nothing is wrong" in checked.stdout
    assert max(map(len, [line for line in text.splitlines() if "result_pattern" not in line])) <= 100


def test_a_value_that_is_only_usual_for_its_name_is_said_to_be_a_guess(
    candle: Candle, script: Path, here: Path
) -> None:
    script.write_text(
        SCRIPT.replace("a.units", "a.batch_size").replace(
            '"--units", type=int, default=8', '"--batch-size", type=int, required=True'
        )
    )
    done = candle("init", "train.py", "--output", "a.in", "--", "--data", "x")
    assert "batch_size = 32 is a guess, as its text shows no value; batch_size=VALUE, behind --, sets it" in done.stdout
    assert "a guess: its text shows no value" in (here / "a.in").read_text()
    given = candle("init", "train.py", "--output", "b.in", "--", "--data", "x", "batch_size=16")
    assert "guess" not in given.stdout + (here / "b.in").read_text()


def test_a_file_that_is_there_is_not_written_over(candle: Candle, script: Path, here: Path) -> None:
    (here / "train.in").write_text("mine")
    done = candle("init", "train.py", "--", "--data", "x")
    assert done.returncode == 2
    assert "train.in is there already; name another file with --output" in done.stderr
    assert (here / "train.in").read_text() == "mine"
    assert candle("init", "train.py", "--output", "other.in", "--", "--data", "x").returncode == 0
    assert "candle init --run finds it" in (here / "other.in").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.py"], "none.py: there is no such file"),
        (["."], "this is a folder"),
        (["train.py"], "does not run without values that its text does not show; give them: candle init"),
        (["train.py", "--", "--datum", "x"], 'train.py has no --datum; did you mean "--data"?'),
        (["train.py", "--", "--data"], "there is no value behind --data"),
        (["own.py"], "neither its text nor its --help shows its options; name those that may vary"),
        (["empty.py"], "neither its text nor its --help shows anything that it can be given"),
        (["fixed.py"], "nothing has a range that could be proposed"),
        (["train.py", "--", "<", "none.nml"], "train.py: none.nml, for its standard input, is not a file"),
        (["train.py", "--", "<empty.py"], "train.py: empty.py has no numbers with names that could vary"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(arguments: list[str], said: str, candle: Candle, script: Path, here: Path) -> None:
    (here / "empty.py").write_text("print(1)\n")
    (here / "own.py").write_text("import sys\nprint(dict(zip(sys.argv[1::2], sys.argv[2::2])))\n")
    (here / "fixed.py").write_text("import argparse\nargparse.ArgumentParser().add_argument('--name', default='x')\n")
    done = candle("init", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not list(here.glob("*.in"))


def test_options_that_nothing_shows_are_those_that_are_given(candle: Candle, here: Path) -> None:
    (here / "own.py").write_text(
        "import sys\nown = dict(zip(sys.argv[1::2], sys.argv[2::2]))\nprint('loss:', float(own['--shift']) ** 2)\n"
    )
    done = candle("init", "own.py", "--run", "--", "--shift", "-2", "--lr", "0.1")
    assert done.returncode == 0, done.stderr
    text = (here / "own.in").read_text()
    assert "shift = -2" in text
    assert "# The objective: loss, 4 in one run" in text


def test_a_run_that_fails_leaves_a_file_without_an_objective(candle: Candle, here: Path) -> None:
    (here / "train.py").write_text(SCRIPT + "raise ValueError('no such data')\n")
    done = candle("init", "train.py", "--run", "--", "--data", "x")
    assert done.returncode == 1
    assert "But the script failed: exit status 1; last output: ValueError: no such data" in done.stdout
    text = (here / "train.in").read_text()
    assert "# The objective is not known: the run with these values failed." in text
    assert "\n  result_pattern" not in text
    assert "\n  rm train.in; candle init train.py --run -- --data x\n" in done.stdout


@pytest.mark.parametrize("printed", ["", "loss 0.5"])
def test_a_run_without_the_value_that_the_text_promises_is_said(printed: str, candle: Candle, here: Path) -> None:
    (here / "train.py").write_text(
        f"lr = hyperparams['lr'] if 'lr' in hyperparams else 0.1\nprint({printed!r})\nif lr > 1: val_to_return = lr\n"
    )
    done = candle("init", "train.py", "--run", "--", "lr=0.1")
    shown = " ".join(done.stdout.split())
    assert "By its text it leaves a value, and it left none: it ended without a value;" in shown
    text = (here / "train.in").read_text()
    assert "leaves in val_to_return" not in text
    assert ("result_pattern=" in text) == bool(printed)
    assert ("Its objective is not known: no number with a name" in shown) != bool(printed)


def test_names_with_blanks_are_quoted_in_what_is_to_be_typed(candle: Candle, here: Path) -> None:
    (here / "my folder").mkdir()
    (here / "my folder" / "my train.py").write_text(SCRIPT)
    done = candle("init", "my folder/my train.py", "--", "--data", "x")
    assert "\n  rm 'my train.in'; candle init 'my folder/my train.py' --run -- --data x\n" in done.stdout
    assert "candle submit-job 'my train.in' runs it" in (here / "my train.in").read_text()
    refused = candle("init", "my folder/my train.py", "--output", "other.in")
    assert "candle init 'my folder/my train.py' --run -- --data VALUE" in refused.stderr


@pytest.mark.slow
def test_from_a_script_to_the_end_of_a_search(candle: Candle, script: Path, here: Path) -> None:
    assert candle("init", "train.py", "--run", "--", "--data", "x").returncode == 0
    done = candle("submit-job", "train.in")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "25 trials: 25 completed" in done.stdout
    assert "best (minimize): 0.001 by" in done.stdout


def test_a_script_is_read_once(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        read.append(path.name)
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert init(script, ["--data", "x"], None, False, Console(file=io.StringIO())) == 0
    assert read.count("train.py") == 1
