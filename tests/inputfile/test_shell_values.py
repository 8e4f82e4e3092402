from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candle_hpo.inputfile.shell_values import ShellReader, ShellValueError, run_bash

ENVIRONMENT = {"HOME": "/home/ada", "DATA": "/data/ada lovelace", "EMPTY": ""}


def read(text: str) -> str:
    return ShellReader(ENVIRONMENT).read(text)


def test_what_bash_env_prints_is_not_a_part_of_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noise").write_text("echo noise\n")
    monkeypatch.setenv("BASH_ENV", str(tmp_path / "noise"))
    assert run_bash("$(echo value)") == "value"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("grid", "grid"),
        ('"grid"', "grid"),
        ("'grid'", "grid"),
        ("two words", "two words"),
        ("grid   # a comment", "grid"),
        ('"# no comment"', "# no comment"),
        ("a#b", "a#b"),
        ("", ""),
        ("# only a comment", ""),
        ("$DATA/x.py", "/data/ada lovelace/x.py"),
        ('"${DATA}/x.py"', "/data/ada lovelace/x.py"),
        ("'$DATA'", "$DATA"),
        ('"\\$DATA"', "$DATA"),
        ("\\$DATA", "$DATA"),
        ("'a'\"b\"c", "abc"),
        ("$EMPTY", ""),
        ("'  kept  '   ", "  kept  "),
        ('"costs 5$"', "costs 5$"),
        ("$(echo a   b)", "a b"),
        ('"$(printf "%s" "in (nested) quotes")"', "in (nested) quotes"),
        ("`echo back`", "back"),
        ("$((2 + 3))", "5"),
        ("${NOT_THERE:-fallback}", "fallback"),
        ("$(echo '#')", "#"),
        ("--mem=5g --constraint='a|b'", "--mem=5g --constraint=a|b"),
    ],
)
def test_values_are_read_as_bash_reads_them(text: str, value: str) -> None:
    assert read(text) == value


def test_pwd_is_where_the_user_stands(here: Path) -> None:
    assert read('"$(pwd)/main.py"') == f"{here}/main.py"


def test_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert read("~/x.py") == "/home/ada/x.py"
    assert read("~") == "/home/ada"
    assert read('"~/x.py"') == "~/x.py"
    assert read("~nobody-of-this-name/x") == "~nobody-of-this-name/x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"open', 'the quote " is not closed; add one at the end of the value'),
        ("'open", "the quote ' is not closed; add one at the end of the value"),
        ("`open", "the backquote ` is not closed; add one at the end of the command"),
        ("$(open", '"$(" is not closed; add ")"'),
        ("${open", '"${" is not closed; add "}"'),
        ("$NOT_THERE", "the environment variable NOT_THERE is not set; set it, or write '$' in single quotes"),
        ("a; rm b", '";" has a special meaning in bash; put the value in quotes'),
        ("a | b", '"|" has a special meaning in bash; put the value in quotes'),
        ("$(exit 3)", "$(exit 3) ended with exit status 3; try it in bash"),
    ],
)
def test_what_bash_would_not_read_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ShellValueError) as caught:
        read(text)
    assert str(caught.value) == message


def test_a_failing_command_shows_what_it_said() -> None:
    with pytest.raises(ShellValueError, match=r"exit status 127 \(.*no_such_program.*not found\)"):
        read("$(no_such_program)")


@settings(max_examples=50)
@given(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), max_size=30))
def test_quoted_text_comes_out_as_bash_gives_it(text: str) -> None:
    for quoted in (shlex.quote(text), '"' + re.sub(r'([$`"\\])', r"\\\1", text) + '"'):
        script = f'value={quoted}\nprintf %s "$value"'
        by_bash = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
        assert read(quoted).encode() == by_bash == text.encode()


@given(st.text(alphabet="ab $`\\\"'#~(){};|<>&\n1", max_size=20))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    reader = ShellReader(ENVIRONMENT, bash=lambda expansion: f"<{expansion}>")
    try:
        assert isinstance(reader.read(text), str)
    except ShellValueError as error:
        assert str(error)


def test_bash_missing_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ShellValueError, match="bash could not be started"):
        run_bash("$(pwd)")
