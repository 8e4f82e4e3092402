"""What a text says of an option, and what it does not: never a default that is another one when the script runs."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from candle_hpo.core.experiment import Language
from candle_hpo.draft.bare_prints import named_by_text
from candle_hpo.draft.candle_models import is_model_of_candle
from candle_hpo.draft.improve import file_of_default_config, options_in_files
from candle_hpo.draft.options import Kind, Option, Options, Way
from candle_hpo.draft.python_values import tree_of
from candle_hpo.draft.ranges import range_of, with_usual_value
from candle_hpo.draft.script_options import options_of_script
from candle_hpo.script.reading import read_script, script_text
from candle_hpo.script.words import ScriptReading

ARGPARSE = "import argparse\np = argparse.ArgumentParser()\n"


def read(text: str) -> Options:
    return options_of_script(dedent(text), Language.PYTHON)


def option(text: str, name: str = "x") -> Option:
    return {each.name: each for each in read(text).found}[name]


def argparse_option(arguments: str, before: str = "", after: str = "") -> Option:
    return option(f"{before}\n{ARGPARSE}p.add_argument({arguments})\n{after}")


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        ("'--x', type=int, default=N", "N = 1\nif True:\n    N = 2", ""),
        ("'--x', type=int, default=N", "N = 1\nN += 1", ""),
        ("'--x', type=int, default=N", "N = 1\nfor N in range(3): ...", ""),
        ("'--x', type=int, default=N", "N = 1\nfrom settings import N", ""),
        ("'--x', type=int, default=N", "N = 1\nfrom settings import *", ""),
        ("'--x', type=int, default=N", "N = 1\ntry: ...\nexcept OSError as N: ...", ""),
        ("'--x', type=int, default=N", "N = 1\ndef N(): ...", ""),
        ("'--x', type=int, default=N", "N = 1", "def later():\n    global N\n    N = 2"),
        ("'--x', type=int, default=int(os.environ.get('N', 3))", "import os", ""),
        ("'--x', type=float, default=best()", "def best(): return 3", ""),
        ("'--x', type=float, default=float('inf')", "", ""),
        ("'--x', type=float, default=0.1", "", "p.add_argument('--x', type=float, default=0.2)"),
        ("'--x', type=float, default=0.1", "", "p.set_defaults(x=best())"),
        ("'--x', type=float, default=0.1", "", "p.set_defaults(**values)"),
    ],
)
def test_a_default_that_may_be_another_one_is_not_known(arguments: str, before: str, after: str) -> None:
    found = argparse_option(arguments, before, after)
    assert found.default is None
    assert not found.left_alone


def test_what_is_set_afterwards_counts() -> None:
    assert argparse_option("'--x', type=float, default=0.1", after="p.set_defaults(x=0.3)").default == 0.3
    assert (
        argparse_option("'-x', '--x', dest='y', type=float, default=0.1", after="p.set_defaults(y=0.3)").default == 0.3
    )
    assert argparse_option("'--x', type=int, default=N", before="N = 1", after="N = 2").default == 1
    assert argparse_option("'--x', type=int, default=1e3").default == 1000


@pytest.mark.parametrize(
    ("arguments", "before", "why"),
    [
        ("'--x', action='store_true', default=True", "", "always True"),
        ("'--x', default=0.1", "", "with type=float"),
        ("'--x', default=3", "", "with type=int"),
        ("'--x', default=True", "", "every text is true"),
        ("'--x', choices=[1, 2]", "", "with type=int"),
        ("'--x', type=percent, default=50", "def percent(text):\n    return float(text) / 100", "percent"),
        ("'--x', type=lambda text: 2 * float(text), default=0.5", "", "lambda"),
        ("'--x', type=words, default=[8, 4]", "from tools import words", "words"),
        ("'--x', type=Size, default=Size.S", "import enum\nclass Size(enum.Enum):\n    S = 1\n    L = 2", "Size"),
    ],
)
def test_what_giving_it_would_change_is_left_alone(arguments: str, before: str, why: str) -> None:
    found = argparse_option(arguments, before)
    assert why in found.left_alone
    assert found.default is None
    assert range_of(with_usual_value(found)) is None


@pytest.mark.parametrize(
    ("arguments", "before", "after", "kind", "default"),
    [
        ("'--x', default=0.1", "", "rate = float(p.parse_args().x)\nprint(float(a.x))", None, None),
        ("'--x', default=0.1", "", "a = p.parse_args()\nrate = float(a.x)", Kind.NUMBER, 0.1),
        ("'--x', type=lambda text: int(float(text)), default=5", "", "", Kind.INTEGER, 5),
        (
            "'--x', type=share, default=0.5",
            "def share(text):\n    value = float(text)\n    if value > 1:\n        raise ValueError\n    return value",
            "",
            Kind.NUMBER,
            0.5,
        ),
        ("'--x', type=percent, default='50'", "def percent(text):\n    return float(text) / 100", "", Kind.TEXT, "50"),
        ("'--x', type=eval, default=0.1", "", "", Kind.NUMBER, 0.1),
        ("'--x', type=Kind, default=Kind.A", "import enum\nclass Kind(enum.Enum):\n    A = 'a'", "", Kind.TEXT, "a"),
    ],
)
def test_what_the_script_makes_of_its_text(
    arguments: str, before: str, after: str, kind: Kind | None, default: object
) -> None:
    found = argparse_option(arguments, before, after)
    assert bool(found.left_alone) == (kind is None)
    assert kind is None or (found.kind, found.default) == (kind, default)


@pytest.mark.parametrize(
    "after",
    [
        "for name in NAMES:\n    p.add_argument('--' + name, type=float)",
        "add_training_options(p)",
        "Model.add_arguments_to(p)",
        "q = argparse.ArgumentParser(parents=[tools.parser()])",
        "p.add_arguments(Config, dest='config')",
        "p.add_class_arguments(Model)",
    ],
)
def test_options_of_other_places_are_asked_for(after: str) -> None:
    found = read(f"{ARGPARSE}p.add_argument('--x', type=float, default=1)\n{after}")
    assert found.is_elsewhere
    assert [each.name for each in found.found] == ["x"]


def test_what_a_script_does_itself_is_not_elsewhere() -> None:
    after = "def more(q):\n    q.add_argument('--y', type=int, default=2)\nmore(p)\nargcomplete.autocomplete(p)"
    found = read(f"{ARGPARSE}p.add_argument('--x', type=float, default=1)\n{after}")
    assert not found.is_elsewhere
    assert [each.name for each in found.found] == ["x", "y"]


def test_options_of_the_same_name_in_two_commands_are_two() -> None:
    found = read(
        f"{ARGPARSE}s = p.add_subparsers()\nfor_fit = s.add_parser('fit')\nfor_test = s.add_parser('test')\n"
        "for_fit.add_argument('--x', type=int, default=1)\nfor_test.add_argument('--x', type=int, default=2)\n"
    )
    assert [(each.command, each.default) for each in found.found] == [("fit", 1), ("test", 2)]


def test_optparse_is_read() -> None:
    text = "from optparse import OptionParser\np = OptionParser()\n"
    found = option(f"{text}p.add_option('-x', '--x', dest='x', type='float', default=0.1)\np.add_option('-v')")
    assert (found.kind, found.default) == (Kind.NUMBER, 0.1)


@pytest.mark.parametrize(
    ("declared", "kind", "default", "is_left"),
    [
        ("'--x', is_flag=True", Kind.FLAG, False, False),
        ("'--x', is_flag=True, default=True", Kind.FLAG, None, True),
        ("'--x', default=True", Kind.TEXT, "True", False),
        ("'--x', type=bool, default=False", Kind.TEXT, "False", False),
        ("'--x/--no-x', default=True", Kind.FLAG, True, False),
    ],
)
def test_flags_of_click(declared: str, kind: Kind, default: object, is_left: bool) -> None:
    found = option(f"import click\n@click.command()\n@click.option({declared})\ndef main(x): ...")
    assert (found.kind, found.default, bool(found.left_alone)) == (kind, default, is_left)


DATACLASSES = """
    import tyro
    from dataclasses import dataclass, field
    @dataclass
    class Optimizer:
        lr: float = 0.1
        nesterov: bool = False
    @dataclass
    class Base:
        seed_rate: float = 1.0
        depth: int = 3
    @dataclass
    class Config(Base):
        depth: int = 5
        first: Optimizer = field(default_factory=Optimizer)
        second: Optimizer = field(default_factory=lambda: Optimizer(lr=0.3))
    """


def test_fields_of_dataclasses_have_the_defaults_of_the_last_class() -> None:
    text = dedent(DATACLASSES)
    assert option(f"{text}\ntyro.cli(Config)", "depth").default == 5
    assert option(f"{text}\ntyro.cli(Config)", "first.lr").default == 0.1
    assert option(f"{text}\ntyro.cli(Config)", "second.lr").default is None
    assert option(f"{text}\ntyro.cli(Config)", "second.nesterov").left_alone
    assert read(f"{text}\ntyro.cli(Config, default=Config(depth=7))").is_elsewhere


@pytest.mark.parametrize(
    "text",
    [
        "print 'of Python 2'",
        "type Rate = float\nfrom click import command",
        "import defopt\ndef main(x: float = 1): ...\ndefopt.run(main)",
        "import plac\nplac.call(main)",
        "from docopt import docopt\ndocopt(__doc__)",
        "from pydantic_settings import CliApp\nCliApp.run(Settings)",
        "from simple_parsing import parse\nparse(Config)",
        "from jsonargparse import CLI\nCLI(main)",
        "import sys\nfor word in sys.argv[1:]: ...",
        "(" * 3000 + ")" * 3000,
    ],
)
def test_what_is_not_read_is_asked_for(text: str) -> None:
    assert read(text) == Options(Way.ARGUMENTS, by=read(text).by, is_elsewhere=True)


def test_a_place_has_the_default_that_stands_before_it() -> None:
    found = read("import sys\nx = 0.1\nif len(sys.argv) > 1:\n    x = float(sys.argv[1])\n").found
    assert [(each.name, each.default, each.is_required) for each in found] == [("x", 0.1, False)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbfx = 1\r\n", "x = 1\n"),
        (b"# coding: latin-1\nkind = 'caf\xe9'\n", "# coding: latin-1\nkind = 'caf\u00e9'\n"),
        (b"# coding: of-no-kind\nx = 1\n", "# coding: of-no-kind\nx = 1\n"),
        (b"x = '\xff'\n", "x = '\ufffd'\n"),
    ],
)
def test_a_script_is_read_in_its_own_encoding(content: bytes, expected: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_bytes(content)
    assert script_text(script) == expected


@pytest.mark.parametrize("text", ["def broken(:", f"x = {'-' * 100_000}1", "x = '\0'"], ids=["broken", "deep", "zero"])
def test_a_text_that_this_python_cannot_parse_shows_nothing(text: str) -> None:
    assert tree_of(text) is None
    assert not is_model_of_candle(text)
    assert options_in_files(text, "") == options_in_files("", "")
    assert file_of_default_config(text) == ""
    assert named_by_text(text, Language.PYTHON) is None
    assert read_script(text, Language.PYTHON) == ScriptReading()
