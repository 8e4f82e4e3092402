from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import InputFile
from candle_hpo.core.objective import Direction
from candle_hpo.core.space import GridSpace
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.inputfile.shell_values import ShellReader
from conftest import WriteInput, input_text


def problems_of(text: str, here: Path) -> list[str]:
    (here / "model.py").touch()
    (here / "x.in").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_input_file(Path("x.in"))
    return [str(problem) for problem in caught.value.problems]


CONTROL = 'model_script="$(pwd)/model.py"\nworkflow="grid"'
SET = '{"x": 1}'


def test_the_exercise_file_as_it_is_written_there(here: Path) -> None:
    (here / "main.py").touch()
    (here / "vae_with_pytorch.in").write_text(
        """&control
  model_script="$(pwd)/main.py"
  workflow="grid"
  ngpus=2
  gpu_type="k80"
  walltime="00:20:00"
  dl_backend="pytorch"
/

&default_model
  epochs = 2
  batch_size=128
  no_cuda = False
/

&param_space
{"id": "hpset_00001", "epochs": 2, "batch_size": 64}
{"id": "hpset_00002", "epochs": 2, "batch_size": 128}
/
"""
    )
    experiment = read_input_file(Path("vae_with_pytorch.in"))
    control = experiment.settings
    assert control.model_script == str(here / "main.py")
    assert (control.nworkers, control.worker_type, control.walltime) == (2, "k80", 1200)
    assert control.dl_backend == "pytorch"
    assert experiment.default_model == {"epochs": 2, "batch_size": 128, "no_cuda": False}
    assert isinstance(experiment.space, GridSpace)
    assert experiment.space.names == ("epochs", "batch_size")
    assert [one.id for one in experiment.space.sets] == ["hpset_00001", "hpset_00002"]
    assert experiment.space.sets[1].hyperparameters == {"epochs": 2, "batch_size": 128, "no_cuda": False}


def test_order_case_blanks_and_comments_do_not_matter(here: Path) -> None:
    (here / "model.py").touch()
    (here / "x.in").write_text(
        f"""# a comment
        &PARAM_SPACE   # here too
            {SET}   # "and" here
        /
        &Control
            MODEL_SCRIPT  =  model.py   # spaces around the sign
            workflow = Grid
            direction = maximize
        / # the end
        &Default_Model
            y = 'a # is not a comment'  # this is one
        /
        """
    )
    experiment = read_input_file(here / "x.in")
    assert experiment.settings.direction is Direction.MAXIMIZE
    assert isinstance(experiment.space, GridSpace)
    assert experiment.space.sets[0].hyperparameters == {"y": "a # is not a comment", "x": 1}


def test_windows_line_ends_and_a_byte_order_mark(write_input: WriteInput) -> None:
    path = write_input()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_input_file(path).space is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ['x.in: there is no section "&control"; begin it with a line "&control"']),
        (
            f"&control\n{CONTROL}\n&param_space\n{SET}\n/\n",
            ['x.in:1: section "&control" is not closed; end it with a line that holds "/" alone'],
        ),
        (
            f"&control\n{CONTROL}\n/\n&param_space\n{SET}\n",
            ['x.in:5: section "&param_space" is not closed; end it with a line that holds "/" alone'],
        ),
        (
            f"&contrl\n{CONTROL}\n/\n",
            [
                'x.in: there is no section "&control"; begin it with a line "&control"',
                'x.in:1: unknown section "&contrl"; did you mean "control"?',
            ],
        ),
        (
            f"&control\n{CONTROL}\n/\n&control\n/\n&param_space\n{SET}\n/\n",
            ['x.in:5: section "&control" appears twice (first in line 1); keep one'],
        ),
        (
            f"stray\n&control\n{CONTROL}\n/\n/\n&param_space\n{SET}\n/\n",
            [
                'x.in:1: "stray" is outside every section; move it into one',
                'x.in:6: this "/" closes no section; remove it',
            ],
        ),
    ],
)
def test_sections(here: Path, text: str, expected: list[str]) -> None:
    assert problems_of(text, here) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("nworker=2", ['x.in:4: unknown keyword "nworker"; did you mean "nworkers"?']),
        ("nworkers=2\nnworkers=3", ['x.in:5: keyword "nworkers" appears twice (first in line 4); keep one']),
        ("nworkers=2\nngpus=3", ['x.in:5: "ngpus" means the same as "nworkers" in line 4; keep one']),
        ("nworkers=two", ['x.in:4: nworkers: "two" is not a whole number from 1 up (at most 9 digits)']),
        ("ngpus=0", ['x.in:4: ngpus: "0" is not a whole number from 1 up (at most 9 digits)']),
        ("use_candle=maybe", ['x.in:4: use_candle: "maybe" is neither 0 nor 1']),
        (
            "walltime=20",
            ['x.in:4: walltime: "20" is not a time such as 00:20:00 (HH:MM:SS, HH:MM or D-HH:MM:SS)'],
        ),
        ("direction=up", ['x.in:4: direction: "up" is not a valid value; valid are minimize, maximize']),
        ("engine=slrum", ['x.in:4: engine: "slrum" is not a valid value; did you mean "slurm"?']),
        ("queue=\u201cnorm\u201d", ["x.in:4: queue: \u201c is a typographic quote; write \" or '"]),
        (
            "supp_pythonpath=/nope",
            [
                "x.in:4: supp_pythonpath: the folder /nope does not exist; "
                "relative paths and $(pwd) are taken from where you run candle"
            ],
        ),
        ("mem_per_cpu=lots", ['x.in:4: mem_per_cpu: "lots" is not a number of gigabytes such as 7 or 1.5']),
        (
            "custom_sbatch_args='-a 1-3 --mem=0'",
            [
                "x.in:4: custom_sbatch_args: --array=1-3 is not possible: "
                "one job runs all trials; nworkers is how many run at a time"
            ],
        ),
        ("what is this", ['x.in:4: "what is this" is not of the form name = value']),
        (
            'queue="norm',
            ['x.in:4: queue: the quote " is not closed; add one at the end of the value'],
        ),
        (
            "result_pattern='loss: ('",
            [
                "x.in:4: result_pattern: loss: ( is not a regular expression: "
                "missing ), unterminated subpattern at position 6"
            ],
        ),
        (
            "result_file=/tmp/x.json",
            [
                "x.in:4: result_file: /tmp/x.json is not in the trial's own folder; "
                "write for instance results/metrics.json"
            ],
        ),
        (
            "result_file='~/x.json'",
            ["x.in:4: result_file: ~/x.json is not in the trial's own folder; write for instance results/metrics.json"],
        ),
        (
            r"result_pattern='step (?P<step>\d+) loss (\S+)'",
            [
                r"x.in:4: result_pattern: step (?P<step>\d+) loss (\S+): step counts steps, and no other group has a "
                "name; give one to the group around the number, such as (?P<loss>...)"
            ],
        ),
        (
            "result_pattern='(a)(b)'",
            [
                "x.in:4: result_pattern: (a)(b) has 2 groups; "
                "keep the one around the number, and write (?:...) for others"
            ],
        ),
        ("result_file=x.csv", ["x.in:4: result_file is a CSV file; add its column as result_key"]),
        ("result_key=loss", ["x.in:4: result_key is a place in result_file, which is not there; add result_file"]),
        (
            "trials_per_gpu=2\ngpus_per_trial=2",
            ["x.in:5: trials_per_gpu shares a GPU, gpus_per_trial gives several to each trial; keep one"],
        ),
        (
            "preload=sklearn.svm, a-b",
            ['x.in:4: preload: "a-b" is not the name of a Python module such as sklearn.svm; "none" turns it off'],
        ),
        (
            "result_file=runs/*/events.tfevents.*",
            ["x.in:4: result_file is a file of TensorBoard's; add the tag as result_key"],
        ),
        (
            "result_pattern=x\nresult_file=y.json\nresult_key=loss",
            ["x.in:6: result_key and result_pattern both say where in result_file the value is; keep one"],
        ),
        (
            "result_from=median",
            ['x.in:4: result_from: "median" is not one of last, best, first, or a mean such as mean_of_last_5'],
        ),
        (
            "argument_style=--my_nam=value",
            ['x.in:4: argument_style: "--my_nam=value" is not an argument style; did you mean "--my_name=value"?'],
        ),
        (
            "argument_style=x:b",
            [
                'x.in:4: argument_style: "x:b" names no option; '
                "write for instance batch_size:-b, or nesterov:--nesterov/--plain"
            ],
        ),
        (
            "hyperparams_as=arguments\nargument_style=z:-b",
            ['x.in:5: argument_style: there is no hyperparameter "z"; valid are x'],
        ),
    ],
)
def test_control(here: Path, lines: str, expected: list[str]) -> None:
    assert problems_of(input_text(f"{CONTROL}\n{lines}", "", SET), here) == expected


def test_an_unknown_keyword_without_a_near_one_lists_all(here: Path) -> None:
    (found,) = problems_of(input_text(f"{CONTROL}\nzzzzzz=1", "", SET), here)
    assert found.startswith('x.in:4: unknown keyword "zzzzzz"; valid are model_script, workflow, nworkers')


def test_the_required_keywords(here: Path) -> None:
    assert problems_of(input_text("nworkers=1", "", SET), here) == [
        'x.in:1: "&control" lacks the keyword "model_script"; add for instance model_script="$(pwd)/main.py"',
        'x.in:1: "&control" lacks the keyword "workflow"; add for instance workflow="grid"',
    ]
    assert problems_of(input_text('model_script=""\nworkflow=grid', "", SET), here) == [
        'x.in:2: "model_script" has no value; add for instance model_script="$(pwd)/main.py"',
    ]


def test_the_model_script_must_be_there(here: Path) -> None:
    found = problems_of(input_text("model_script=gone.py\nworkflow=grid", "", SET), here)
    assert found == [
        f"x.in:2: model_script: the file {here}/gone.py does not exist; "
        "relative paths and $(pwd) are taken from where you run candle"
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("epochs 2", 'x.in:6: "epochs 2" is not of the form name = value'),
        ("epochs = 2\nepochs = 3", 'x.in:7: "epochs" appears twice (first in line 6); keep one'),
        (
            "rate = 1e-3,",
            "x.in:6: rate: a comma outside brackets makes a list of it; remove the comma, or write [ and ]",
        ),
        ("id = 5", 'x.in:6: "id" names the sets themselves; call the hyperparameter something else'),
        ("rate = 1/3", "x.in:6: rate: 1/3 is not a Python literal; put text in quotes"),
        ("rate = -inf", "x.in:6: rate: -inf is not a Python literal; put text in quotes"),
        ("rate = np.nan", "x.in:6: rate: np.nan is not a finite number; put it in quotes if it is meant as text"),
        ("rate = 1e-3x", "x.in:6: rate: 1e-3x is not a Python literal; put text in quotes"),
        ("layers = 10 20", "x.in:6: layers: 10 20 is not a Python literal; put text in quotes"),
        ("epochs =", "x.in:6: epochs: there is no value; write for instance name = 0.5"),
        (
            "rate = 1e999",
            "x.in:6: rate: NaN, infinities and numbers too large for a float are not valid values of a hyperparameter",
        ),
        (
            "shape = {1, 2}",
            "x.in:6: shape: {1, 2} is a Python set; use a number, text, True, False, None or a list",
        ),
    ],
)
def test_defaults(here: Path, lines: str, expected: str) -> None:
    assert problems_of(input_text(CONTROL, lines, SET), here) == [expected]


def test_values_of_defaults(write_input: WriteInput) -> None:
    experiment = read_input_file(
        write_input(
            default_model="""
            a = True
            b = None
            c = 1e-3
            d = [128, (20, 'x')]
            e = 'relu'
            f = relu  # a bare word
            g = {"k": [1.0]}
            h = -5
            y = r'\\d $HOME'
            """
        )
    )
    assert experiment.default_model == {
        "a": True,
        "b": None,
        "c": 1e-3,
        "d": [128, [20, "x"]],
        "e": "relu",
        "f": "relu",
        "g": {"k": [1.0]},
        "h": -5,
        "y": "\\d $HOME",
    }


def test_a_word_that_looks_like_a_truth_value_is_noted(write_input: WriteInput) -> None:
    experiment = read_input_file(write_input(default_model="y = 1\nno_cuda = false"))
    assert experiment.default_model["no_cuda"] == "false"
    (note,) = experiment.notes
    assert note.endswith(':7: no_cuda is the text "false"; Python\'s own is written False')


def test_a_question_that_is_left_is_noted(write_input: WriteInput) -> None:
    path = write_input(control='direction="minimize"   # QUESTION: or "maximize"?')
    (note,) = read_input_file(path).notes
    assert ': direction="minimize" is a guess; if more is better, write direction="maximize"; when it' in note
    assert read_input_file(path, overrides=["direction=maximize"]).notes == ()


def test_a_time_of_two_parts_is_noted_with_what_it_means(write_input: WriteInput) -> None:
    experiment = read_input_file(write_input(control="walltime=20:00\ntrial_timeout=0:30:00"))
    assert experiment.settings.walltime == 72_000
    (note,) = experiment.notes
    assert note.endswith(
        ":4: walltime=20:00 is 20 h 0 min (HH:MM); 20 min 0 s, as SLURM itself would read it, are 00:20:00"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"x": None}', "None is Python's; JSON writes null"),
        ('{"x": [True]}', "True is Python's; JSON writes true"),
        ("{'x': 1}", "JSON puts text in double quotes"),
        ('{"x": 1,}', 'remove the comma before "}"'),
        ('{"x": [1, 2', "this is not JSON: it ends too early; is a bracket or a quote not closed?"),
        ('{"x": relu}', 'this is not JSON, from "relu}" on'),
    ],
)
def test_what_is_nearly_json_is_shown_as_it_would_be_right(here: Path, line: str, expected: str) -> None:
    (found,) = problems_of(input_text(CONTROL, "", line), here)
    assert found == f"x.in:9: {expected}; a set is one JSON object on one line"


@pytest.mark.parametrize(
    ("pattern", "notes"),
    [
        (r"epoch (?P<ep>\d+) loss (\S+)", ("ep",)),
        (r"epoch (?P<epoch>\d+) (\w+) loss (?P<loss>\S+)", ("loss",)),
        (r"epoch (?P<epoch>\d+) loss (?P<loss>\S+)", ()),
        (r"loss (\S+)", ()),
    ],
)
def test_a_group_without_a_name_beside_the_value_is_noted(
    write_input: WriteInput, pattern: str, notes: tuple[str, ...]
) -> None:
    experiment = read_input_file(write_input(control=f"result_pattern='{pattern}'"))
    said = "result_pattern: the value is the group {}; groups without a name are not read"
    assert experiment.notes == tuple(said.format(name) for name in notes)


@pytest.mark.parametrize(
    ("control", "note"),
    [
        ("result_pattern='(?P<val_acc>\\S+)'", "direction is not given, so val_acc is minimized; where more is better"),
        ("result_file=r.json\nresult_key=best.score", "direction is not given, so best.score is minimized"),
        ("objectives=val_loss\ndirection=maximize", 'of val_loss, less is usually better; is "minimize" meant?'),
        ("objectives=f1\ndirection=minimize", 'of f1, more is usually better; is "maximize" meant?'),
        ("objectives=score\ndirection=minimize", None),  # of docking, say
        ("objectives=neg_mse\ndirection=maximize", None),
        ("objectives=yield\ndirection=maximize", None),
        ("direction=maximize", None),
        ("result_pattern='(?P<loss>\\S+)'", None),
    ],
)
def test_a_direction_that_the_objectives_name_contradicts_is_noted(
    write_input: WriteInput, control: str, note: str | None
) -> None:
    notes = read_input_file(write_input(control=control)).notes
    assert [(note or "") in each for each in notes] == [True] * bool(note), notes


def test_keywords_without_effect_are_noted(write_input: WriteInput) -> None:
    experiment = read_input_file(write_input(control="design_size=3\nmax_budget=5"))
    assert experiment.notes == ("design_size, max_budget: no effect on a grid",)


@pytest.mark.parametrize(
    ("control", "stopping", "notes"),
    [
        ("stopping=none", (), ()),
        ("stopping=ASHA", ("asha",), ()),
        ("stopping='nan, median'\nmin_steps=5\nmax_steps=50", ("nan", "median"), ()),
        ("stopping=asha\nmin_steps=2\nreduction_factor=4", ("asha",), ()),
        (
            "stopping=median\nreduction_factor=4",
            ("median",),
            ("reduction_factor: no effect with stopping=median",),
        ),
        ("stopping=nan\nmin_steps=2", ("nan",), ("min_steps: no effect without a rule in stopping",)),
        ("max_steps=9", (), ("max_steps: no effect without a rule in stopping",)),
        ("max_steps=1", (), ("max_steps: no effect without a rule in stopping",)),
        ("stopping=nan\nmax_steps=1", ("nan",), ("max_steps: no effect without a rule in stopping",)),
        ("on_timeout=take_value", (), ("on_timeout: no effect without trial_timeout",)),
        (
            "on_timeout=take_value\ntrial_timeout=1:00:00\nstopping=asha",
            ("asha",),
            (
                "on_timeout=take_value: stopping learns the length of a whole trial from those that complete, and one "
                "that is ended by its time is shorter; say max_steps",
            ),
        ),
        ("on_timeout=take_value\ntrial_timeout=1:00:00\nstopping=asha\nmax_steps=9", ("asha",), ()),
        ("stopping=asha\nresult_pattern='epoch (?P<epoch>[0-9]+) loss (?P<loss>[0-9.]+)'", ("asha",), ()),
        (
            "stopping=asha\nresult_pattern='loss: ([0-9.]+)'",
            ("asha",),
            (
                "stopping=asha: result_pattern has no group step or epoch, so each match counts as a step; let it "
                "match what is optimized alone, once a step",
            ),
        ),
    ],
)
def test_what_stops_trials_early(
    write_input: WriteInput, control: str, stopping: tuple[str, ...], notes: tuple[str, ...]
) -> None:
    experiment = read_input_file(write_input(control=control))
    assert experiment.settings.stopping == stopping
    assert experiment.notes == notes


@pytest.mark.parametrize(
    ("control", "problem"),
    [
        ("stopping=asah", '"asah" is not a valid value; did you mean "asha"?'),
        ("stopping='asha, median'", '"asha, median" names 2 rules; keep one of asha, median'),
        (
            "stopping='none, nan'",
            '"none, nan": none says that nothing stops a trial early; keep it alone, or leave it out',
        ),
        ("stopping=asha\nreduction_factor=1", '"1" is not a whole number from 2 up (at most 9 digits)'),
        (
            "stopping=asha\nmin_steps=9\nmax_steps=9",
            "max_steps=9 is not more than min_steps=9: no trial could be stopped early",
        ),
        ("stopping=median\nmax_steps=1", "max_steps=1 is a single step: no trial could be stopped early"),
    ],
)
def test_what_cannot_stop_trials_early_is_an_error(write_input: WriteInput, control: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_input_file(write_input(control=control))
    assert problem in str(caught.value)


GROUPS = "result_pattern='epoch (?P<epoch>[0-9]+) loss (?P<loss>[0-9.]+) acc (?P<acc>[0-9.]+)'"


@pytest.mark.parametrize(
    ("control", "name"),
    [
        ("", "val_to_return"),
        ("objectives=val_loss", "val_loss"),
        (GROUPS, "loss"),
        (f"objectives=acc\ndirection=maximize\n{GROUPS}", "acc"),
        ("objectives=loss\nresult_file=log.csv\nresult_key=loss", "loss"),
        ("objectives=eval_loss\nresult_file=s.json\nresult_key='log[*].eval_loss'", "eval_loss"),
    ],
)
def test_what_is_optimized_has_a_name(write_input: WriteInput, control: str, name: str) -> None:
    experiment = read_input_file(write_input(control=control))
    assert experiment.settings.objective.name == name
    assert experiment.notes == ()


@pytest.mark.parametrize(
    ("control", "problem"),
    [
        ("objectives='loss, acc'", '"loss, acc" names several, and one is optimized; keep that one'),
        ("objectives=acc:maximize", '"acc:maximize": write objectives="acc" and direction="maximize"'),
        ("objectives=Epoch", '"Epoch" counts steps, and measures nothing'),
        (f"objectives=los\n{GROUPS}", 'it is not a group of result_pattern; did you mean "loss"?'),
        ("objectives=loss\nresult_pattern='loss ([0-9.]+)'", "write (?P<loss>...) around its number"),
        (
            "objectives=acc\nresult_file=log.csv\nresult_key=loss",
            "result_key=loss says that another value is optimized",
        ),
        ("objectives=acc\nresult_file=log.json", "result_key says what is optimized; write result_key=acc"),
    ],
)
def test_what_cannot_be_optimized_is_an_error(write_input: WriteInput, control: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_input_file(write_input(control=control))
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("fidelity", "default_model", "levels"),
    [
        ("epochs 3 81", "epochs = 20\ny = 2", (3, 9, 27, 81)),
        ("epochs, 3, 10\nreduction_factor=2", "epochs = 20\ny = 2", (3, 6, 10)),
        ("epochs 3.0 81", "epochs = 20\ny = 2", (3, 9, 27, 81)),
        ("share 0.1 1", "share = 0.5\ny = 2", (0.1, 0.3, 1.0)),
        ("share 1 9", "share = 5.0\ny = 2", (1.0, 3.0, 9.0)),
        ("y 1 3", "y = 2", (1, 3)),
    ],
)
def test_fidelity_has_levels_of_its_hyperparameters_kind(
    write_input: WriteInput, fidelity: str, default_model: str, levels: tuple[float, ...]
) -> None:
    source = write_input(control=f"fidelity={fidelity}", default_model=default_model, param_space='{"x": 1}\n{"x": 2}')
    experiment = read_input_file(source)
    assert experiment.notes == ()
    found = experiment.settings.levels
    assert found is not None
    assert found.values == levels
    assert [type(value) for value in found.values] == [type(level) for level in levels]


@pytest.mark.parametrize(
    ("fidelity", "problem"),
    [
        ("epochs 3", '"epochs 3" is not a hyperparameter, its least and its most, such as epochs 3 81'),
        ("epochs 3 81 9", '"epochs 3 81 9" is not a hyperparameter, its least and its most, such as epochs 3 81'),
        ("epochs 81 3", '"epochs 81 3": the most, 3, is not more than the least, 81'),
        ("epochs 3 3", '"epochs 3 3": the most, 3, is not more than the least, 3'),
        ("epochs three 81", '"three" is not a number such as 3 or 0.1'),
        ("epochs nan 81", '"nan" is not a number such as 3 or 0.1'),
        ("epochs 0 81", '"0" is not more than 0'),
        ("epochs -3 81", '"-3" is not a number such as 3 or 0.1'),
        (
            "epochs 0.5 81",
            "epochs = 20 is a whole number, and 0.5 81 are not; give whole numbers, or write epochs = 20.0",
        ),
        ("epoch 3 81", 'there is no hyperparameter "epoch"; did you mean "epochs"?'),
        ("kind 3 81", "kind is 'a', not a number"),
        ("flag 3 81", "flag is True, not a number"),
        (
            "x 3 81",
            "the sets give x different values (1, 2), and it is fidelity that raises it; take it out of the sets",
        ),
    ],
)
def test_fidelity_that_cannot_be_is_an_error_beside_all_others(
    write_input: WriteInput, fidelity: str, problem: str
) -> None:
    defaults = "epochs = 20\nkind = 'a'\nflag = True"
    source = write_input(
        control=f'fidelity="{fidelity}"\nretries=x', default_model=defaults, param_space='{"x": 1}\n{"x": 2}'
    )
    with pytest.raises(InputError) as caught:
        read_input_file(source)
    assert f"x.in:4: fidelity: {problem}" in str(caught.value)
    assert "x.in:5: retries" in str(caught.value)


def test_a_parameter_that_is_searched_over_is_not_raised(write_input: WriteInput) -> None:
    space = 'makeIntegerParam("epochs", lower = 1, upper = 9)\nmakeIntegerParam("x", lower = 1, upper = 9)'
    source = write_input(control="fidelity=epochs 3 81", default_model="", param_space=space)
    source.write_text(source.read_text().replace('"grid"', '"random"'))
    with pytest.raises(InputError, match="fidelity: epochs is searched over; take it out of &param_space"):
        read_input_file(source)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            '{"x": 1, "z": 2}\n{"x": 2}',
            ['x.in:10: set hpset_00002 has no "z", which other sets name; add it here or to &default_model'],
        ),
        (
            '{"rate": 1, "x": 1}\n{"rate": 2, "x": 1}\n{"rte": 2, "x": 1}',
            ['x.in:11: set hpset_00003 names "rte", which most others do not; did you mean "rate"?'],
        ),
        (
            '{"id": "a", "x": 1}\n{"id": "a", "x": 2}',
            ['x.in:10: the id "a" appears twice (first in line 9); every id is unique'],
        ),
        (
            '{"id": "hpset_00002", "x": 1}\n{"x": 2}',
            ['x.in:10: the id "hpset_00002" appears twice (first in line 9); every id is unique'],
        ),
        (
            '{"id": "../x", "x": 1}',
            [
                'x.in:9: the id "../x" cannot name a folder; use letters, digits and _ . , + = - '
                "(a letter, digit or _ first, 100 at most)"
            ],
        ),
        ('{"id": 7, "x": 1}', ['x.in:9: the id 7 is not text; write "id": "7"']),
        ('{"x": 1, "x": 2}', ['x.in:9: "x" appears twice; keep one; a set is one JSON object on one line']),
        (
            "[1]",
            [
                'x.in:9: this is not a JSON object such as {"epochs": 2, "batch_size": 64}; '
                "a set is one JSON object on one line"
            ],
        ),
        (
            '{"x": 1},',
            ['x.in:9: remove "," after the closing brace; a set is one JSON object on one line'],
        ),
        (
            '{"x": NaN}',
            [
                "x.in:9: NaN is not a JSON value; a hyperparameter is a finite number, text, true, false or null; "
                "a set is one JSON object on one line"
            ],
        ),
        (
            '{"x": 1e999}',
            ["x.in:9: 1e999 is too large for a floating-point number; a set is one JSON object on one line"],
        ),
        (
            '{"x": "\\ud800"}',
            [
                "x.in:9: there is half of a Unicode character in it (a lone surrogate); "
                "a set is one JSON object on one line"
            ],
        ),
        ("", ['x.in:8: there are no sets to run; list them in "&param_space" (candle generate-grid makes them)']),
    ],
)
def test_parameter_sets(here: Path, lines: str, expected: list[str]) -> None:
    assert problems_of(input_text(CONTROL, "", lines), here) == expected


def test_a_grid_without_sets_is_reported_beside_other_errors(here: Path) -> None:
    found = problems_of(input_text(f"{CONTROL}\nnworker=1", "", ""), here)
    assert [problem.split(": ")[0] for problem in found] == ["x.in:4", "x.in:9"]


def test_ids_that_one_folder_would_serve_on_some_systems(here: Path) -> None:
    found = problems_of(input_text(CONTROL, "", '{"id": "Run", "x": 1}\n{"id": "run", "x": 1}'), here)
    assert found == ['x.in:10: the id "run" appears twice (first in line 9); every id is unique']


def test_everything_that_is_wrong_is_reported_at_once(here: Path) -> None:
    text = input_text(f"{CONTROL}\nnworker=1\nseed=x", "epochs 2", '{"x": 1}\n{')
    assert [problem.split(": ")[0] for problem in problems_of(text, here)] == [
        "x.in:4",
        "x.in:5",
        "x.in:8",
        "x.in:12",
    ]


def test_many_problems_are_counted_not_listed() -> None:
    error = InputError(*[f"problem {number}" for number in range(130)])
    assert len(str(error).splitlines()) == 101
    assert str(error).splitlines()[-1] == "… and 30 more problems"


def test_with_run_workflow_0_the_sets_are_not_judged(write_input: WriteInput) -> None:
    path = write_input(control="use_candle=0", param_space='{"id": "../x"\nnonsense')
    experiment = read_input_file(path)
    assert experiment.space is None
    assert experiment.settings.run_workflow is False


def test_files_in_place_of_the_sections(here: Path) -> None:
    (here / "model.py").touch()
    (here / "defaults.txt").write_text("[Global_Params]\ny = 3\n")
    (here / "sets.txt").write_text('{"x": 1}\n')
    by_section = input_text(CONTROL, "candle_default_model_file = defaults.txt", "candle_param_space_file=sets.txt")
    by_keyword = input_text(f"{CONTROL}\ndefault_model_file=defaults.txt\nparam_space_file=sets.txt")
    for text in (by_section, by_keyword):
        (here / "x.in").write_text(text)
        experiment = read_input_file(Path("x.in"))
        assert isinstance(experiment.space, GridSpace)
        assert experiment.space.sets[0].hyperparameters == {"y": 3, "x": 1}


def test_problems_in_such_a_file_name_it(here: Path) -> None:
    (here / "sets.txt").write_text("\n{\n")
    text = input_text(f"{CONTROL}\nparam_space_file=sets.txt")
    (found,) = problems_of(text, here)
    assert found.startswith(f"{here}/sets.txt:2: this is not JSON")
    (found,) = problems_of(input_text(CONTROL, "", "candle_param_space_file=gone.txt"), here)
    assert found == (
        f"x.in:9: candle_param_space_file: the file {here}/gone.txt does not exist; "
        "relative paths and $(pwd) are taken from where you run candle"
    )
    (found,) = problems_of(input_text(CONTROL, "a = 1\ncandle_default_model_file=sets.txt", SET), here)
    assert found == ("x.in:7: candle_default_model_file stands alone in its section; move the other lines there")
    (found,) = problems_of(input_text(f"{CONTROL}\nparam_space_file=sets.txt", "", SET), here)
    assert found == 'x.in:4: param_space_file and the section "&param_space" are both given; keep one'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"&control\n\xff\n", "x.in:2: this is not UTF-8 text; save the file as UTF-8"),
        (b"&control\n\n\0", "x.in:3: there is a NUL byte; an input file is plain text in UTF-8"),
    ],
)
def test_what_is_not_text(here: Path, data: bytes, expected: str) -> None:
    (here / "x.in").write_bytes(data)
    with pytest.raises(InputError, match=re.escape(expected)):
        read_input_file(Path("x.in"))


def test_what_is_not_a_file(here: Path) -> None:
    with pytest.raises(InputError, match=r"^gone\.in: there is no such file; check the name and the folder$"):
        read_input_file(Path("gone.in"))
    with pytest.raises(InputError, match="this is a folder; name a file in it"):
        read_input_file(here)


# Arbitrary text, arbitrary lines within sections, and arbitrary sets: read or reported, never anything else.

_SHELL = ShellReader({"HOME": "/"}, bash=lambda expansion: expansion)
_PIECES = st.sampled_from(
    ["&control", "&default_model", "&param_space", "/", "model_script=model.py", "workflow=grid", "ngpus=2",
     "x = 1", 'x = "', "{", "}", '{"x": 1}', '{"id": "a", "x": [1, {"y": null}]}', "#", "=", "[" * 3000, "'", '"',
     "~", "$(", "candle_param_space_file=x.in", "default_model_file=model.py", "\u2028", "9" * 5000, "1e999"]
)  # fmt: skip
_LINES = st.lists(_PIECES | st.text(max_size=20), max_size=25).map("\n".join)


def read_or_report(path: Path) -> InputFile | None:
    try:
        return read_input_file(path, _SHELL)
    except InputError as error:
        assert all(str(problem).startswith(str(path.parent)) for problem in error.problems)
        return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=_LINES | st.text(max_size=200))
def test_arbitrary_text_is_read_or_reported(here: Path, text: str) -> None:
    (here / "model.py").touch()
    (here / "x.in").write_text(text, encoding="utf-8", errors="surrogatepass")
    read_or_report(here / "x.in")


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(_TEXT.filter(lambda name: name not in ("", "id")), _JSON, min_size=1, max_size=4))
def test_arbitrary_sets_come_through_unchanged(here: Path, values: dict[str, object]) -> None:
    import json

    (here / "model.py").touch()
    for ensure_ascii in (True, False):
        line = json.dumps(values, ensure_ascii=ensure_ascii)
        (here / "x.in").write_text(input_text(CONTROL, "", line), encoding="utf-8", newline="")
        experiment = read_input_file(here / "x.in")
        assert isinstance(experiment.space, GridSpace)
        assert experiment.space.sets[0].hyperparameters == values
