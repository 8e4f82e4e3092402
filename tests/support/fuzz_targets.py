"""What is fed with arbitrary bytes: each reader, as a function that raises only what is a mistake of ours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from candle_hpo.core.errors import InputError, MachineError, RecordError
from candle_hpo.core.objective import Direction, Objective
from candle_hpo.inputfile.grid_expression import read_axes
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.inputfile.shell_values import ShellReader, ShellValueError
from candle_hpo.launch.measuring.objective import read_reported
from candle_hpo.launch.measuring.result_file import read_file
from candle_hpo.launch.measuring.result_pattern import ResultPattern
from candle_hpo.record.history import History
from candle_hpo.record.holder import read_holder
from candle_hpo.record.log import RecordFile, read_events

# No command is run: what stands in `$(…)` is its own value.
SHELL = ShellReader({"HOME": "/"}, bash=lambda expansion: expansion)

_folder = Path(mkdtemp(prefix="candle_fuzz_"))
(_folder / "model.py").touch()


def written(name: str, data: bytes) -> Path:
    """Return a file that holds these bytes."""
    path = _folder / name
    path.write_bytes(data)
    return path


def _read_experiment(text: bytes) -> None:
    model = str(_folder / "model.py").encode()
    try:
        read_input_file(written("x.in", text.replace(b"MODEL", model)), SHELL)
    except InputError as error:
        assert error.problems
        assert all(len(str(problem)) < 3000 for problem in error.problems)


def input_file(data: bytes) -> None:
    """An input file of arbitrary bytes."""
    _read_experiment(data)


def control(data: bytes) -> None:
    """Arbitrary lines in `&control`."""
    _read_experiment(b'&control\nmodel_script=MODEL\nworkflow=grid\n%b\n/\n&param_space\n{"x":1}\n/\n' % data)


def default_model(data: bytes) -> None:
    """Arbitrary lines in `&default_model`."""
    _read_experiment(
        b'&control\nmodel_script=MODEL\nworkflow=grid\n/\n&default_model\n%b\n/\n&param_space\n{"x":1}\n/\n' % data
    )


def parameter_sets(data: bytes) -> None:
    """Arbitrary lines in `&param_space` of a grid."""
    _read_experiment(b"&control\nmodel_script=MODEL\nworkflow=grid\n/\n&param_space\n%b\n/\n" % data)


def parameters(data: bytes) -> None:
    """Arbitrary lines in `&param_space` of parameters with ranges, ParamHelpers or JSON."""
    _read_experiment(b"&control\nmodel_script=MODEL\nworkflow=random\n/\n&param_space\n%b\n/\n" % data)


def grid_expression(data: bytes) -> None:
    """An argument of `candle generate-grid`."""
    with suppress(InputError):
        read_axes([data.decode(errors="surrogateescape")])


def shell_value(data: bytes) -> None:
    """A value of `&control`."""
    with suppress(ShellValueError):
        SHELL.read(data.decode(errors="replace"))


def record(data: bytes) -> None:
    """A record: read, and gone on with."""
    path = written("events.jsonl", data)
    try:
        History(Objective(Direction.MINIMIZE), read_events(path))
    except RecordError as error:
        assert str(path) in str(error) or "line " in str(error)
    RecordFile(path).close()
    assert path.read_bytes().startswith(data[: data.rfind(b"\n") + 1])


def lock(data: bytes) -> None:
    """A lock."""
    with suppress(MachineError):
        read_holder(written("campaign.lock", data))


def reported(data: bytes) -> None:
    """What a model reports."""
    with suppress(ValueError):
        read_reported(written("reported_result.json", data), "")


def result_json(data: bytes) -> None:
    """A file of results in JSON."""
    with suppress(ValueError):
        read_file(written("result.json", data), "a.b")


def result_csv(data: bytes) -> None:
    """A file of results in CSV."""
    with suppress(ValueError):
        read_file(written("result.csv", data), "a")


def output(data: bytes) -> None:
    """What a model prints, searched by a pattern."""
    with suppress(ValueError):
        ResultPattern(r"loss: *(\S+)").find(written("output.txt", data))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        input_file, control, default_model, parameter_sets, parameters, grid_expression, shell_value, record, lock,
        reported, result_json, result_csv, output,
    )
}  # fmt: skip

_EVENTS = (Path(__file__).parent / "data" / "record_version_1.jsonl").read_bytes()
_KEYWORDS = b'ngpus=2\nqueue="$A" # x\nwalltime=1-00:20\nargument_style=--my_name=value x:-b\nresult_pattern=(a)|b\n'
_R = (
    b'param.set <- makeParamSet(makeIntegerParam("x", lower=5L, upper=10, trafo = function(x) 2L^x),\n'
    b'makeDiscreteParam("d", values=c("1000", "a b")), # no\n'
    b'makeNumericVectorParam("v", len = 2, lower = -1e-3, upper = 1, requires = quote(d == "a b" && x > 6)))'
)

# From where each target's arbitrary bytes are made by small changes.
SEEDS: dict[str, bytes] = {
    "input_file": b"&control\nmodel_script=MODEL\nworkflow=grid\n/\n&default_model\ny = [1, 'a']\n/\n&param_space\n"
    b'{"id": "a", "x": 1e5}\n/\n',
    "control": _KEYWORDS,
    "default_model": b"x = 1e-3\ny = [1, (2, None), {'a': True}]\nz = relu # word\n",
    "parameter_sets": b'{"id": "a", "x": [1, -2.5e300, "\\u00fc\xc3\xbc"], "y": {"z": null}}\n{"x": true, "y": false}',
    "parameters": _R,
    "grid_expression": b"['x', np.arange(2, 11, 2) * 2 ** -1 + np.array([1, 2.5])]",
    "shell_value": b"\"$(pwd)/a\" ~/b '$c' ${D:-e} `f` \\g #h",
    "record": _EVENTS,
    "lock": b'{"host":"a","process":7,"since":1.5,"job":"4","place":"b","started":3,"mark":"c"}\n',
    "reported": b'{"val_to_return": 1.5, "accuracy": 0.5, "s": "x"}',
    "result_json": b'[{"a": {"b": 1.5}}, {"a": {"b": NaN, "c": [1]}}]',
    "result_csv": b'epoch,a,"b ""c"""\r\n1,0.5,x\r\n2,1e-3,"y\nz"\r\n',
    "output": b"loss: 0.5\nloss: nan x\nloss: 1e999\n",
}
