"""Options that a Python script declares one by one: by click, absl."""

from __future__ import annotations

import ast

import msgspec

from candle_hpo.draft.options import Kind, Option, fitting, kind_of, longest, name_of
from candle_hpo.draft.python_values import Module, called, calls_in, keywords_of, listed

_NOT_OF_CLICK = ("multiple", "count", "callback", "flag_value")
_RANGES = {"IntRange": Kind.INTEGER, "FloatRange": Kind.NUMBER}
_DEFINED = {
    "DEFINE_float": Kind.NUMBER, "DEFINE_integer": Kind.INTEGER, "DEFINE_string": Kind.TEXT,
    "DEFINE_enum": Kind.TEXT, "DEFINE_bool": Kind.FLAG, "DEFINE_boolean": Kind.FLAG,
}  # fmt: skip


def click_options(module: Module) -> tuple[list[Option], list[str]]:
    """Return the options of click's commands, and the names of commands where there are several."""
    found, commands, is_group = [], [], False
    for function in module.functions.values():
        kinds = {called(each) for each in function.decorator_list}
        is_group |= "group" in kinds
        command = command_name(module, function) if "command" in kinds else ""
        commands += [command] if command else []
        for call in reversed(function.decorator_list):
            if isinstance(call, ast.Call) and called(call) in ("option", "argument") and call.args:
                option = _of_click(module, call)
                found += [msgspec.structs.replace(option, command=command)] if option is not None else []
    return list(reversed(found)), commands if is_group or len(commands) > 1 else []


def command_name(module: Module, function: ast.FunctionDef) -> str:
    """Return the name of the command that a function of click or typer is: its own, or the one that it is given."""
    for each in function.decorator_list:
        if isinstance(each, ast.Call) and called(each) == "command" and each.args:
            name = module.value_or_none(each.args[0])
            if isinstance(name, str):
                return name
    return function.name.replace("_", "-")


def _of_click(module: Module, call: ast.Call) -> Option | None:
    its = keywords_of(call)
    names = [each for each in map(module.value_or_none, call.args) if isinstance(each, str)]
    options = [each for each in names if each.startswith("-")]
    is_argument = called(call) == "argument"
    if any(name in its for name in _NOT_OF_CLICK) or not (options or (is_argument and names)):
        return None
    option, _, if_false = longest(options).partition("/") if options else ("", "", "")
    name = name_of(option or names[0])
    default, kind, line = module.value_or_none(its.get("default")), its.get("type"), call.lineno
    if if_false or module.value_or_none(its.get("is_flag")) is True:
        flag = Option(name=name, option=option, kind=Kind.FLAG, if_false=if_false.strip(), line=line)
        if default is True and not if_false:
            return msgspec.structs.replace(flag, left_alone="versions of click differ in what giving it means")
        return msgspec.structs.replace(flag, default=bool(default))
    choices: tuple[object, ...] = ()
    low = high = None
    found = kind_of(default)
    match kind:
        case ast.Call() if called(kind) == "Choice" and kind.args:
            choices, found = listed(module, kind.args[0]), Kind.TEXT
        case ast.Call() if called(kind) in _RANGES:
            found = _RANGES[called(kind)]
            ends = {**dict(zip(("min", "max"), kind.args, strict=False)), **keywords_of(kind)}
            low, high = (_end(module, ends.get(each)) for each in ("min", "max"))
        case ast.expr():
            found = module.annotation(kind).kind or found
    if found is Kind.FLAG:  # without two names, it takes a word: --shuffle True
        found, choices, default = Kind.TEXT, ("True", "False"), None if default is None else str(default)
    is_any_number = module.value_or_none(its.get("nargs")) == -1
    return Option(
        name=name,
        option=option,
        kind=found,
        default=fitting(default, found),
        choices=choices,
        low=low,
        high=high,
        is_required=(is_argument and "default" not in its and not is_any_number)
        or module.value_or_none(its.get("required")) is True,
        is_positional=is_argument,
        line=line,
    )


def _end(module: Module, node: ast.expr | None) -> float | None:
    value = module.value_or_none(node)
    return float(value) if isinstance(value, int | float) else None


def absl_options(module: Module) -> list[Option]:
    """Return the flags that absl (or TensorFlow's `tf.app.flags`) defines."""
    found = []
    for call in calls_in(module.tree):
        kind = _DEFINED.get(called(call))
        names = ("name", "default", *(("enum_values",) if called(call) == "DEFINE_enum" else ()), "help")
        its = {**dict(zip(names, call.args, strict=False)), **keywords_of(call)}
        name = module.value_or_none(its.get("name"))
        if kind is None or not isinstance(name, str):
            continue
        low, high = (_end(module, its.get(each)) for each in ("lower_bound", "upper_bound"))
        default = fitting(module.value_or_none(its.get("default")), kind)
        found.append(
            Option(
                name=name_of(name),
                option=f"--{name}",
                kind=kind,
                default=bool(default) if kind is Kind.FLAG else default,
                choices=listed(module, its.get("enum_values")),
                if_false=f"--no{name}" if kind is Kind.FLAG else "",
                low=low,
                high=high,
                line=call.lineno,
            )
        )
    return found
