"""Makes docs/contracts.md from the code, so that it is always true: `make docs`."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from pathlib import Path

import msgspec

from candle_hpo.core.errors import ExitStatus
from candle_hpo.core.paths import ExperimentPaths, File, TrialPaths
from candle_hpo.core.provenance import GitState, ScriptState
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Continued, Status
from candle_hpo.record.events import AnyEvent, JobEnd, RecordHeader
from candle_hpo.record.folder import Provenance, StoredExperiment

PAGE = Path(__file__).parent.parent / "docs" / "contracts.md"
_EXPERIMENT = ExperimentPaths(Path("candle_generated_files/experiments/X000"))
_HEAD = """# Contracts

What other programs can rely on, field by field, made from the code by `make docs`. [The experiment's
folder](experiment-folder.md), [the input file](input-file.md) with its [keywords](keywords.md), [model
scripts](model-scripts.md) and [commands](commands.md) say what it is for. A change of any
of it is in the list of [changes](../CHANGELOG.md).

"""


def reference() -> str:
    """Return the page."""
    parts = [
        "## Files of an experiment\n\n" + _properties(_EXPERIMENT),
        "## Files of a trial\n\n" + _properties(_EXPERIMENT.trial("hpset_00001")),
        f"## The record\n\n`events.jsonl`, version {RecordHeader.CURRENT}: a JSON object a line; the field `event` "
        "has the name of its kind. Fields without a value may be left out where a default is given.\n",
        *(_struct(kind, 3) for kind in typing.get_args(AnyEvent)),
        _struct(Continued, 3),
        _struct(Stop, 3) + "\nReasons: " + ", ".join(f"`{reason.value}`" for reason in StopReason) + ".\n",
        "Ends of a job: " + ", ".join(f"`{how.value}`" for how in JobEnd) + ".\n",
        "## Statuses of a trial\n\n" + ", ".join(f"`{status.value}`" for status in Status) + ".\n",
        *(_struct(kind, 2) for kind in (StoredExperiment, Provenance, ScriptState, GitState)),
        "## Exit statuses\n\n| status | name |\n| --- | --- |\n"
        + "".join(f"| {status.value} | {status.name.lower().replace('_', ' ')} |\n" for status in ExitStatus),
    ]
    return _HEAD + "\n".join(parts)


def _first_line(documented: object) -> str:
    text = inspect.getdoc(documented) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", r"\|")


def _properties(example: ExperimentPaths | TrialPaths) -> str:
    found = {
        name: each for name, each in vars(type(example)).items() if isinstance(each, property | File) and name[0] != "_"
    }
    rows = [f"| `{_shown(getattr(example, name))}` | {_first_line(each)} |\n" for name, each in found.items()]
    return "| file | what it is |\n| --- | --- |\n" + "".join(rows)


def _shown(path: Path) -> str:
    return path.as_posix()


def _struct(kind: type[msgspec.Struct], level: int) -> str:
    rows = "".join(
        f"| `{field.encode_name}` | {_type(field.type)} | {_default(field)} |\n"
        for field in msgspec.structs.fields(kind)
    )
    table = f"| field | type | default |\n| --- | --- | --- |\n{rows}" if rows else "It has no fields.\n"
    return f"{'#' * level} `{kind.__name__}`\n\n{_first_line(kind)}\n\n{table}"


def _type(kind: typing.Any) -> str:
    names = {float: "number", int: "whole number", str: "text", bool: "boolean", type(None): "null"}
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " or ".join(dict.fromkeys(_type(each) for each in typing.get_args(kind)))
    origin = typing.get_origin(kind)
    if origin in (list, tuple):
        return f"list of {_type(typing.get_args(kind)[0])}"
    if origin is dict:
        return "object"
    if inspect.isclass(kind) and issubclass(kind, msgspec.Struct):
        return f"object ({kind.__name__})"
    return names.get(kind, "text" if inspect.isclass(kind) else "any")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return f"`{msgspec.json.encode(field.default).decode()}`"
    return "" if field.default_factory is msgspec.NODEFAULT else "empty"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())
