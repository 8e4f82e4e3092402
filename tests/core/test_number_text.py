"""Numbers as text: read as exactly that number by whatever reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candle_hpo.core.experiment import ArgumentStyle
from candle_hpo.core.number_text import decimal_text, json_text, number_text
from candle_hpo.inputfile.argument_style import argument_style
from candle_hpo.launch.handover.arguments import as_arguments
from candle_hpo.launch.handover.texts import as_bash, as_json, as_r

NUMBERS = [
    *(0.0, -0.0, 1.0, 0.1, -2.5, 1e-05, -1e-05, 1.5e-07, 1e16, 1e22, -1e22, 123456789.0, 1 / 3, 5e-324, 1e-320),
    *(1.7976931348623157e308, 2.2250738585072014e-308, 0.1 + 0.2, 0, -7, 2**53 + 1, 10**30),
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def lines_of(*command: str | Path, given: str = "") -> list[str]:
    done = subprocess.run([*map(str, command)], input=given, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_digit_is_lost(number: float) -> None:
    for text in (number_text(number), decimal_text(number)):
        assert repr(float(text)) == repr(number)
    assert "." in number_text(number)
    assert "e" not in decimal_text(number)


@given(JSON_VALUES)
def test_json_is_that_of_python_but_for_its_numbers(value: object) -> None:
    assert repr(json.loads(json_text(value))) == repr(value)


def test_the_form_of_exponents() -> None:
    texts = [number_text(number) for number in (1e-05, -1e-05, 1.5e-07, 1e22, 100000.0, 10**30, -0.0)]
    assert texts == ["1.0e-05", "-1.0e-05", "1.5e-07", "1.0e+22", "100000.0", "1" + "0" * 30, "-0.0"]


def test_readers_of_yaml_and_json_and_the_text_tools_of_the_shell(here: Path) -> None:
    values = {f"n{place}": number for place, number in enumerate(NUMBERS)}
    (here / "params.json").write_bytes(as_json(values))
    for reader in ("json.load", "yaml.safe_load"):
        code = f"import json, yaml; [print(repr(each)) for each in {reader}(open('params.json')).values()]"
        assert lines_of(sys.executable, "-c", code) == list(map(repr, NUMBERS))
    (here / "params.sh").write_bytes(as_bash(values))
    texts = lines_of("bash", "-c", f". ./params.sh; for n in {' '.join(values)}; do candle_get_param $n; done")
    assert texts == list(map(number_text, NUMBERS))
    (here / "plain.yaml").write_text("".join(f"n{place}: {text}\n" for place, text in enumerate(texts)))
    code = "import yaml; [print(repr(each)) for each in yaml.safe_load(open('plain.yaml')).values()]"
    assert lines_of(sys.executable, "-c", code) == list(map(repr, NUMBERS))
    seen = lines_of("awk", '{ printf "%.17g\\n", $1 }', given="\n".join(texts))
    assert [float(each) for each in seen] == list(map(float, NUMBERS))


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (Debian: apt-get install r-base-core)")
def test_r(here: Path) -> None:
    (here / "params.R").write_bytes(
        as_r({"all": [float(number) for number in NUMBERS], "large": 2**53 + 2, "huge": 10**30})
    )
    code = 'x <- eval(parse("params.R")); cat(sprintf("%a", c(x$all, x$large, x$huge)), sep = "\\n")'
    expected = [*map(float, NUMBERS), float(2**53 + 2), 1e30]
    assert [float.fromhex(each) for each in lines_of("Rscript", "-e", code)] == expected


@pytest.mark.parametrize("number", NUMBERS)
def test_a_parser_of_options(here: Path, number: float) -> None:
    """Alone or in a list, by a long option or a short one, in every style that argparse can read."""
    script = here / "script.py"
    script.write_text(
        textwrap.dedent("""
            import argparse
            parser = argparse.ArgumentParser()
            parser.add_argument("--rate", type=float)
            parser.add_argument("-s", "-my_rate", dest="short", type=float)
            parser.add_argument("--range", nargs=2, type=float)
            asked = parser.parse_args()
            print(asked.rate, asked.short, *asked.range, sep="\\n")
        """)
    )
    values = {"rate": float(number), "short": float(number), "range": [float(number), -1e-7]}
    for style in ("short:-s", "--my-name=value short:-s range:--range", "short:-my_rate"):
        given = as_arguments(values, argument_style(style))
        assert list(map(float, lines_of(sys.executable, script, *given))) == [float(number)] * 3 + [-1e-7]


def test_texts_that_begin_with_a_dash_or_are_empty() -> None:
    values: dict[str, object] = {"mode": "-x", "name": "", "b": "-x"}
    assert as_arguments(values, ArgumentStyle(options={"b": "-b"})) == ["--mode=-x", "--name", "", "-b-x"]
