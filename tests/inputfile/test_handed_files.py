"""Files of a script in which hyperparameters are written: what is found in each form, and what is written there."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import InputFile
from candle_hpo.core.file_template import NotWritable
from candle_hpo.inputfile.config_places import places_of
from candle_hpo.inputfile.read import read_input_file


def submitted(here: Path, name: str, text: str | bytes, defaults: str, sets: str = "{}", more: str = "") -> InputFile:
    """Return what is understood of an input file with this configuration file."""
    file = here / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (here / "m.py").write_text("val_to_return = 1\n")
    x = here / "x.in"
    more += "" if "workflow" in more else '\nworkflow="grid"'
    control = f'model_script="m.py"\nconfig_file="{name}"\n{more}'
    x.write_text(f"&control\n{control}\n/\n&default_model\n{defaults}\n/\n&param_space\n{sets}\n/\n")
    return read_input_file(x)


def written(here: Path, file: str, text: str | bytes, /, **values: object) -> str:
    """Return the file with these values, which are the default hyperparameters; `__` stands for a dot in a name."""
    given = {each.replace("__", "."): value for each, value in values.items()}
    request = submitted(here, file, text, "\n".join(f"{each} = {value!r}" for each, value in given.items()))
    (template,) = request.templates
    return template.data(given).decode(template.encoding)


def problem(here: Path, name: str, text: str | bytes, defaults: str, sets: str = "{}", more: str = "") -> str:
    with pytest.raises(InputError) as raised:
        submitted(here, name, text, defaults, sets, more)
    return str(raised.value).replace(f"{here}/", "")


YAML = """\
# the usual one
model: &model          # an anchor
  name: resnet         # which
  layers:
  - units: 64          # first
    drop: 0.5
  - {units: 32, drop: .5}
optimizer:
    lr: 1e-3   # rate
    betas: [0.9, 0.999]
    nesterov: yes
    schedule:
    steps:
      - 10
      # then
      - 20

other: *model
text: |
  two
  lines
"""


def test_yaml_keeps_all_but_the_values(here: Path) -> None:
    text = written(
        here, "c.yaml", YAML, model__name="vgg", model__layers__1__units=16, optimizer__lr=1e-05, optimizer__steps=[5]
    )
    expected = YAML.replace("resnet", "vgg").replace("units: 32", "units: 16").replace("1e-3", "1.0e-05")
    assert text == expected.replace("      - 10\n      # then\n      - 20\n", "       [5]\n")
    read: Any = yaml.safe_load(text)
    assert (read["optimizer"]["lr"], read["optimizer"]["steps"]) == (1e-05, [5])
    assert read["other"]["layers"][1]["units"] == 16


@pytest.mark.parametrize(
    "value",
    [
     "1e-5", "yes", "no", "null", "~", "10", "0x1f", "1_000", "12:30", "2001-01-01", "", " a", "a: b", "a #b", "- a",
     "&a", "*a", "!t", "%d", "@x", "'", '"', "\\", "a\nb", "\x85", "\u2028", "é", "\U0001f600", "@", "{a}", "a.b/c-d",
     "True", ".inf", "=", 0, 1, -3, 10**30, 0.1, 1e-05, 1e22, -2.5e-300, True, False, None, [], {},
     [1, [0.5, "no"]], {"a b": {"c": None}}],
)  # fmt: skip
def test_a_value_is_itself_for_every_reader_of_yaml_and_json(here: Path, value: object) -> None:
    for place in (
        "a: old\nb: 1\n",
        "a: 'old'\nb: 1\n",
        "a:\nb: 1\n",
        "{a: old, b: 1}\n",
        "x:\n  - a:\n    - 1\n",
        "a: !!str &x old",
    ):
        name = "x.0.a" if place.startswith("x") else "a"
        text = written(here, "c.yml", place, **{name.replace(".", "__"): value})
        read: Any = yaml.safe_load(text) if "!!str" not in text else {"a": value}
        assert (read["x"][0]["a"] if "x" in read else read["a"]) == value, text
        assert "b" not in read or read["b"] == 1
    assert json.loads(written(here, "c.json", '{\n\t"b" : [1, {"a": "old"} ]}', b__1__a=value))["b"][1]["a"] == value


def test_a_float_stays_a_float(here: Path) -> None:
    assert written(here, "c.yaml", "a: 0.5\nb: 1\nc: '0.5'\n", a=2, b=3, c=4) == "a: 2.0\nb: 3\nc: 4\n"
    assert written(here, "c.toml", "a = 0.5\nb = 1_0.0\n", a=2, b=3) == "a = 2.0\nb = 3.0\n"
    assert written(here, "c.ini", "[s]\na = 1e-3\n", s__a=2) == "[s]\na = 2.0\n"
    assert written(here, "c.nml", "&s a = 1d-3 /\n", s__a=2) == "&s a = 2.0 /\n"


TOML = """\
title = "x"   # said
[optimizer] # which
lr = 0.1      # rate
betas = [
  0.9, # first
  0.999,
]
sub = {a = 1, b.c = 2}
[[layers]]
units = 1
[[layers]]
units = 2   # second
"""


def test_toml_keeps_all_but_the_values(here: Path) -> None:
    text = written(
        here, "c.toml", TOML, title='a "b"\n', optimizer__lr=1e-05, optimizer__betas__1=0.5, layers__1__units=7
    )
    changed = [('"x"', r'"a \"b\"\u000a"'), ("0.1 ", "1.0e-05 "), ("0.999", "0.5"), ("= 2   #", "= 7   #")]
    expected = TOML
    for before, after in changed:
        expected = expected.replace(before, after)
    assert text == expected
    assert tomlkit.parse(text)["title"] == 'a "b"\n'
    text = written(here, "c.toml", TOML, optimizer__sub__b__c=[1, "é\x7f"])
    read: Any = tomlkit.parse(text)
    assert read["optimizer"]["sub"]["b"] == {"c": [1, "é\x7f"]}


INI = """\
; of the lab
[DEFAULT]
seed=1

[train]
lr = 0.1   ; rate
Opt : adam
amp = Yes
color = #fff
many = 1,
   2
sizes = 64, 32
[a.b]
x=
"""


def test_ini_keeps_all_but_the_values(here: Path) -> None:
    text = written(
        here,
        "c.cfg",
        INI,
        train__lr=1e-05,
        train__Opt="sgd",
        train__amp=False,
        train__many=[3],
        train__sizes=[1, 2],
        a__b__x="y",
    )
    expected = INI.replace("0.1 ", "1.0e-05 ").replace("adam", "sgd").replace("Yes", "No").replace("64, 32", "1, 2")
    assert text == expected.replace("1,\n   2", "3").replace("x=", "x=y")
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert (parser.getboolean("train", "amp"), parser["a.b"]["x"]) == (False, "y")


INI_TEXTS = [
    "  [a]\n  x = 1\n  y = 2\n  [b]\n  x = 3\n",
    "[a]\nx = 1\nflag\n[b]\nx =\n   3\n\n   4\n# x = 5\ny: 6 ; said\n",
    "[a]\n x=1\n   [b]\nw : [3]\n[a.b]\nz=\u2028 1\nx=\x0c2\n",
]


@pytest.mark.parametrize("text", INI_TEXTS)
def test_ini_is_read_as_python_does(text: str) -> None:
    parser = configparser.RawConfigParser(allow_no_value=True)
    parser.read_string(text)
    expected = {f"{section}.{name}": value for section in parser for name, value in parser[section].items()}
    found = {place.name: text[place.start : place.end] for place in places_of("INI", text, ())}
    assert {
        name: value.partition(" ;")[0] for name, value in expected.items() if value is not None and name in found
    } == {name: "\n".join(map(str.strip, value.split("\n"))) for name, value in found.items()}
    assert found.keys() == {name for name, value in expected.items() if value is not None}


def test_files_without_sections_and_without_a_suffix(here: Path) -> None:
    text = "; GROMACS\n\ndt = 0.002 ; ps\n  ref-t= 300\ntcoupl =\n"
    assert written(here, "md.mdp", text, dt=1, **{"ref-t": 310, "tcoupl": "no"}) == (
        "; GROMACS\n\ndt = 1.0 ; ps\n  ref-t= 310\ntcoupl =no\n"
    )
    assert (
        written(here, "config-feedforward", "[NEAT]\npop_size = 150\n", NEAT__pop_size=20) == "[NEAT]\npop_size = 20\n"
    )
    assert written(here, "INPUT", "&a x=1 /", a__x=2) == "&a x=2 /"
    assert written(here, "params", '{"x": 1}', x=2) == '{"x": 2}'


def test_env_and_its_quotes(here: Path) -> None:
    env = "# a\nLR=0.1 # rate\nexport NAME='old one'\nPATHS=\"a b\"\nURL=a#b\nEMPTY=\nFLAG=true\n"
    text = written(here, ".env", env, LR=1e-05, NAME="x y", PATHS="it's $5", URL="c", EMPTY=[1], FLAG=False)
    assert text == ("# a\nLR=1.0e-05 # rate\nexport NAME='x y'\nPATHS=\"it's \\$5\"\nURL=c\nEMPTY='[1]'\nFLAG=false\n")


NAMELIST = """\
! made by hand, don't lose it
&Grid
  nx = 10   ! points
  dx = 1.0d-3, 2.0,   ! two
       3*0.5
  name = 'it''s / here', flag = .TRUE.
  a%b(2) = 3.0
/
between, don't read
 $solver tol=1e-6 $end
"""


def test_a_namelist_keeps_all_but_the_values(here: Path) -> None:
    text = written(
        here, "run.nml", NAMELIST, Grid__NX=20, grid__dx=[1, 2.5], grid__name="o'k", grid__flag=False, solver__tol=1e-05
    )
    expected = NAMELIST.replace("nx = 10", "nx = 20").replace("1.0d-3, 2.0,   ! two\n       3*0.5", "1, 2.5")
    expected = expected.replace("'it''s / here'", "'o''k'").replace(".TRUE.", ".false.").replace("1e-6", "1.0e-05")
    assert text == expected
    assert "a%b(2) = 4.0" in written(here, "run.nml", NAMELIST, **{"grid__a__b(2)": 4})


def test_any_text_is_a_template(here: Path) -> None:
    text = "rate {{ lr }}\r\nname {{name}} {{ lr }} { { x }}"
    assert written(here, "in/run.dat", text, lr=1e-05, name="a b") == "rate 1.0e-05\r\nname a b 1.0e-05 { { x }}"
    assert written(here, "c.yaml", "lr: {{ lr }}\n# lr: 3\n", lr=True) == "lr: true\n# lr: 3\n"


def test_bytes_that_are_not_utf_8_and_marks_and_line_ends_stay(here: Path) -> None:
    (template,) = submitted(here, "c.nml", "! f\xfcr\r\n&a x=1 /\r\n".encode("latin-1"), "a.x = 'ü'").templates
    assert template.data({"a.x": "ü"}) == b"! f\xfcr\r\n&a x='\xfc' /\r\n"
    with pytest.raises(NotWritable, match=r'c\.nml is not in UTF-8, and has no way to write "€"'):
        template.data({"a.x": "€"})
    (template,) = submitted(here, "c.json", b'\xef\xbb\xbf{"x": 1}', "x = 2").templates
    assert template.data({"x": 3}) == b'\xef\xbb\xbf{"x": 3}'


def test_what_a_set_lacks_stays_as_it_is_in_the_file(here: Path) -> None:
    (template,) = submitted(here, "c.yaml", "a: 1\nb: 2\n", "a = 5\nb = 6").templates
    assert template.filled({"a": 5}) == "a: 5\nb: 2\n"


@pytest.mark.parametrize(
    ("name", "text", "defaults", "expected"),
    [
        ("c.yaml", "a: {lr: 1}", "lr = 1", 'c.yaml: it has no "lr", which is a hyperparameter; did you mean "a.lr"?'),
        ("c.yaml", "a: {rate: 1}", "a.rat = 1", 'no "a.rat", which is a hyperparameter; did you mean "a.rate"?'),
        ("c.yaml", "a: [\n", "a = 1", "c.yaml:2: this is not YAML: "),
        ("c.yaml", "a: 1\n---\nb: 1\n", "a = 1", "c.yaml:2: this is not YAML: but found another document"),
        ("c.yaml", "- 1\n", "a = 1", "its top is not a mapping"),
        ("c.yaml", "a: 1\na: 2\n", "a = 1", '"a" appears twice in it'),
        ("c.yaml", "a:\n  b: 1\na:\n  c: 2\n", "a.b = 1", '"a" appears twice in it'),
        ("c.yaml", "d: &d 2\na: 1\na: *d\n", "a = 1", '"a" appears twice in it'),
        ("c.json", '{"a": {"b": {"d": 1}, "b": {"c": 2}}}', "a.b.d = 1", '"a.b" appears twice in it'),
        ("c.ini", "[s]\nLR = 1\nlr = 2\n", "s.LR = 1", '"s.LR" appears twice in it'),
        ("c.nml", "&s a=1,2 a(2)=5 /", "s.a = [3, 4]", '"s.a" appears twice in it'),
        ("c.nml", "&s a(2)=5 A=1,2 /", "s.a(2) = 4", '"s.a(2)" appears twice in it'),
        ("c.nml", "&s a(2)=5 a(1:2)=1,2 /", "s.a(2) = 4", '"s.a(2)" appears twice in it'),
        ("c.yaml", "a: &x {b: 1}\nc: *x\n", "c.b = 1", 'it has no "c.b", which is a hyperparameter; did you mean "a.b'),
        ("c.yaml", "a: {b: 1}\n", "a = 1\na.b = 2", '"a.b" is a part of "a"; keep one of these hyperparameters'),
        ("c.json", '{"a": 1,}', "a = 1", "c.json:1: this is not JSON: "),
        ("c.json", "[1]", "a = 1", "c.json: this JSON has no names"),
        ("c.toml", "a = \n", "a = 1", "c.toml:1: this is not TOML: "),
        ("c.toml", "a = 1\n", "a = None", 'c.toml: "a" cannot be written into it: TOML has no null'),
        ("c.toml", "[a]\nb = 1\n", "a = 1", '"a" is a table there'),
        ("c.cfg", "a = 1;\n", "a = 1", 'c.cfg:1: this is neither "option = value" nor a comment: a = 1;'),
        ("c.cfg", "[s]\n = 1\n", "a = 1", "c.cfg:2: this is not an INI file: "),
        ("c.ini", "[s]\na = 1\nb\n  c", "s.a = 1", "this is not an INI file: "),
        ("c.ini", "[s]\na = 1\n", "s.a = '50%'", 'c.ini: "s.a" cannot be written into it: not every reader'),
        ("c.ini", "[s]\na = 1\n", "s.a = 'x ; y'", "not every reader of INI files reads"),
        ("c.ini", "[s]\na = 1\n", "s.a = 'x\\ny'", "it has more than one line"),
        (".env", "A=1\n", "A = None", "null has no spelling there"),
        (".env", "A=1; B=2\n", "A = 3", 'it has no "A"'),
        ("c.properties", "a=1\n", "a = 'x\\\\d'", "a backslash has another meaning there"),
        ("c.nml", "a = 1\n", "a = 1", "c.nml: there is no namelist"),
        ("c.nml", "&s a=1 /", "s.a = {'x': 1}", "a namelist has no spelling for it"),
        ("run.dat", "a 1\n", "a = 1", "write {{ name }} in it where the value of a hyperparameter belongs"),
        ("run.dat", "1\n{{ rat }}\n", "rate = 1", 'run.dat:2: there is no hyperparameter "rat"; did you mean "rate"?'),
        ("run.dat", b"\0", "a = 1", "data belong in a file that link names"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_submission(
    here: Path, name: str, text: str | bytes, defaults: str, expected: str
) -> None:
    assert expected in problem(here, name, text, defaults)


def test_every_text_of_a_grid_and_every_choice_is_looked_at(here: Path) -> None:
    sets = "\n".join(f'{{"s.a": "{text}"}}' for text in ("x", "y", "z", "u", "v; w", "v ;w"))
    assert '"v ;w" as it is' in problem(here, "c.ini", "[s]\na = 1\n", "", sets)
    choices = '{"name": "s.a", "type": "categorical", "choices": ["x", "y", "z", "u ;"]}'
    assert '"u ;" as it is' in problem(here, "c.ini", "[s]\na = 1\n", "", choices, 'workflow="random"')


def test_names_that_reach_the_script_otherwise_need_no_place(here: Path) -> None:
    assert submitted(here, "c.yaml", "a: 1\n", "a = 1\nb = 2", more='hyperparams_as="arguments"').templates
    assert submitted(here, "c.yaml", "a: 1\n", "a = 1\nb = 2", more="prepare='x $(candle_get_param b)'").templates
    assert 'it has no "b"' in problem(here, "c.yaml", "a: 1\n", "a = 1\nb = 2", more="prepare='candle_get_param b.c'")


def test_standard_input_may_be_the_same_for_all(here: Path) -> None:
    (here / "answers.txt").write_text("y\n")
    (here / "data.bin").write_bytes(b"\0" * 2_000_000)
    (template,) = submitted(here, "c.yaml", "a: 1\n", "a = 2").templates
    both = submitted(here, "c.yaml", "a: 1\n", "a = 2", more='stdin_file="answers.txt"').templates
    assert both[0] == template
    assert both[1].filled({}) == "y\n"


def test_where_a_file_lies_in_a_trial_s_folder(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert submitted(here, "conf/c.yaml", "a: 1\n", "a = 2").templates[0].place == "conf/c.yaml"
    other = tmp_path_factory.mktemp("other") / "c.yaml"
    other.write_text("a: 1\n")
    (here / "m.py").write_text("")
    (here / "x.in").write_text(
        f'&control\nmodel_script="m.py"\nworkflow="grid"\nconfig_file="{other}"\n/\n&param_space\n{{"a": 1}}\n/\n'
    )
    assert read_input_file(here / "x.in").templates[0].place == "c.yaml"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('link="nowhere"', "nowhere does not exist"),
        ('link="data, data/x"', "data/x would be data/x in each trial's folder, where data is data"),
        (
            'link="data"\nresult_file="data/r.json"',
            "result_file=data/r.json would be in data, the same file for all trials",
        ),
        ('link="conf"', "conf/c.yaml would be conf/c.yaml in each trial's folder, where conf is conf"),
        ('link="params.json"', "params.json is what candle itself writes into each trial's folder"),
        ('link="."\nrun_in="script"', "the script itself is in"),
        ('link="/"', "/ has no name that a link to it could have"),
        ('stdin_file="other/../conf/c.yaml"', ""),
    ],
)
def test_files_that_cannot_lie_together(here: Path, more: str, expected: str) -> None:
    for folder in ("data", "other"):
        (here / folder).mkdir()
    (here / "data" / "x").touch()
    (here / "params.json").touch()
    if not expected:
        assert len(submitted(here, "conf/c.yaml", "a: 1\n", "a = 1", more=more).templates) == 1
    else:
        assert expected in problem(here, "conf/c.yaml", "a: 1\n", "a = 1", more=more)


def test_a_file_that_only_its_owner_can_read_is_noted(here: Path) -> None:
    assert not submitted(here, ".env", "KEY=1\nLR=1\n", "LR = 2").notes
    (here / ".env").chmod(0o600)
    (note,) = submitted(here, ".env", "KEY=1\nLR=1\n", "LR = 2").notes
    assert note.startswith(f"{here}/.env is readable by you alone")


def test_a_text_and_a_search_space(here: Path) -> None:
    both = '{"name": "a", "type": "float", "low": 0, "high": 1}\n{"name": "b", "type": "int", "low": 1, "high": 9%s}'
    text = "{{ a }} {{ b }}"
    assert submitted(here, "run.dat", text, "", both % "", 'workflow="random"').templates
    sometimes = both % ', "requires": {"a": {"low": 0.5}}'
    reason = problem(here, "run.dat", text, "", sometimes, 'workflow="random"')
    assert 'run.dat needs "b", which this set of hyperparameters does not have' in reason
    assert submitted(here, "run.dat", text, "b = 3", sometimes, 'workflow="random"').templates
