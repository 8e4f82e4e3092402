"""What is said of a command line beside the options that a script has."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.inputfile.argument_style import argument_style
from candle_hpo.inputfile.keyword_values import arguments
from candle_hpo.runner.option_check import Comparison, compare_options
from candle_hpo.runner.script_check import ScriptCheck
from candle_hpo.script.reading import read_script

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch-size", type=int)
parser.add_argument("--amp", action=argparse.BooleanOptionalAction)
"""


def compare(
    names: str, words: str, style: str = "--my-name value", text: str = SCRIPT, command: str = ""
) -> Comparison:
    settings = Settings(
        model_script="/d/model.py",
        workflow="grid",
        script_args=arguments(words),
        argument_style=argument_style(style),
        model_command=arguments(command) or None,
    )
    return compare_options(settings, read_script(text, settings.language), names.split(), mentions_file=False)


@pytest.mark.parametrize(
    ("names", "words", "style", "seen", "unclear"),
    [
        ("lr batch_size", "{arguments}", "--my-name value", ("lr", "batch_size"), ()),
        ("lr batch_size", "{lr} {arguments}", "--my-name value", ("batch_size",), ()),
        ("lr batch_size", "{arguments}", "name=value", (), ("lr", "batch_size")),
        ("lr batch_size", "-c {CANDLE_PARAMS_FILE}", "--my-name value", (), ()),
        ("amp", "{arguments} --no-amp --lr={CANDLE_SEED}", "--my-name value --flag/--no-flag", ("amp",), ()),
    ],
)
def test_what_fits(names: str, words: str, style: str, seen: tuple[str, ...], unclear: tuple[str, ...]) -> None:
    assert compare(names, words, style) == Comparison(seen, unclear, ())


def test_options_of_other_libraries_are_seen_as_candle_init_sees_them(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(
        "import click\n@click.command()\n@click.option('--lr', type=float)\n@click.option('--bias/--no-bias')\n"
        "@click.option('--mu', callback=print)\ndef main(lr, bias, mu): ...\n"
    )
    settings = Settings(
        model_script=str(script),
        workflow="grid",
        hyperparams_as="arguments",
        argument_style=argument_style("--my-name value --flag/--no-flag"),
        result_pattern="loss",
    )
    found = ScriptCheck(settings).compare(["lr", "bias", "mu"], "x.in")
    assert (found.seen, found.unclear, found.notes) == (("lr", "bias"), ("mu",), ())


@pytest.mark.parametrize(
    ("names", "words", "style", "note"),
    [
        ("lr", "{lr} --batch-sise 3", "", 'option --batch-sise, which is in script_args; did you mean "--batch-size"?'),
        ("batch_size", "{arguments}", "--my_name value", 'the option --batch_size, which "batch_size" becomes'),
        ("batch_size", "{arguments}", "batch_size:--bs", 'the option --bs, which "batch_size" becomes; it has --lr'),
        ("amp", "{arguments}", "", "add amp:--amp/--no-amp to argument_style"),
        ("lr batch_size", "--lr {lr}", "", 'nothing hands "batch_size" over to model.py, so that whatever is given for '
         "it changes nothing: add {batch_size}, or {arguments} for all others, to script_args"),
    ],
)  # fmt: skip
def test_what_does_not(names: str, words: str, style: str, note: str) -> None:
    (found,) = compare(names, words, style).notes
    assert note in found


def test_what_a_script_reads_otherwise_is_handed_over_if_candle_starts_it() -> None:
    text = SCRIPT + "rate = hyperparams['mu']\n"
    assert compare("lr mu", "--lr {lr}", text=text).notes == ()
    (found,) = compare("lr mu", "--lr {lr}", text=text, command="torchrun {script}").notes
    assert found.startswith('nothing hands "mu" over to model.py')
