"""Options that a Python script declares one by one: by argparse, click, absl."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

import msgspec

from candle_hpo.draft.options import Kind, Option, fitting, kind_of, longest, name_of
from candle_hpo.draft.python_values import Module, called, calls_in, keywords_of

_NOT_SET = ("append", "append_const", "count", "help", "version")  # what such an option does is more than its value
_RANGES = {"IntRange": Kind.INTEGER, "FloatRange": Kind.NUMBER}
_DEFINED = {
    "DEFINE_float": Kind.NUMBER, "DEFINE_integer": Kind.INTEGER, "DEFINE_string": Kind.TEXT,
    "DEFINE_enum": Kind.TEXT, "DEFINE_bool": Kind.FLAG, "DEFINE_boolean": Kind.FLAG,
}  # fmt: skip


def argparse_options(module: Module) -> tuple[list[Option], list[str]]:
    """Return the options of argparse's parsers, and the names of sub-commands."""
    found, commands = [], []
    command_of = _commands_of_parsers(module)
    for call in calls_in(module.tree):
        if called(call) == "add_argument" and call.args:
            texts = [module.value_or_none(each) for each in call.args]
            names = [each for each in texts if isinstance(each, str)]
            option = _of_argparse(module, names, call) if names else None
            command = command_of(call.func.value) if isinstance(call.func, ast.Attribute) else ""
            found += [msgspec.structs.replace(option, command=command)] if option is not None else []
        elif called(call) == "add_parser" and call.args and isinstance(name := module.value_or_none(call.args[0]), str):
            commands.append(name)
    return found, commands


def _commands_of_parsers(module: Module) -> Callable[[ast.expr], str]:
    """Return what says of a parser, or a group of its arguments, which sub-command it is of; "" for none."""
    assigned: dict[str, ast.expr] = {}
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as value):
                assigned.setdefault(name, value)

    def command_of(parser: ast.expr, depth: int = 0) -> str:
        match parser:
            case ast.Name(id=name) if name in assigned and depth < 10:
                return command_of(assigned[name], depth + 1)
            case ast.Call(func=ast.Attribute(attr="add_parser"), args=[name_node, *_]):
                command = module.value_or_none(name_node)
                return command if isinstance(command, str) else ""
            case ast.Call(func=ast.Attribute(value=inner, attr="add_argument_group" | "add_mutually_exclusive_group")):
                return command_of(inner, depth + 1)
        return ""

    return command_of


def _of_argparse(module: Module, names: Sequence[str], call: ast.Call) -> Option | None:
    its = keywords_of(call)
    action = module.value_or_none(its.get("action")) or ast.unparse(its["action"]) if "action" in its else "store"
    default, is_list = module.value_or_none(its.get("default")), "nargs" in its and _is_many(module, its["nargs"])
    if action in _NOT_SET:
        return None
    option = longest(names) if names[0].startswith("-") else ""
    dest = module.value_or_none(its.get("dest"))
    is_short = isinstance(dest, str) and not option.startswith("--")
    name = name_of(str(dest) if is_short else option or names[0])
    flag = Option(name=name, option=option, kind=Kind.FLAG, default=False, line=call.lineno)
    if str(action).endswith("BooleanOptionalAction"):
        return msgspec.structs.replace(flag, default=bool(default), if_false=option.replace("--", "--no-", 1))
    if action == "store_false" and isinstance(dest, str):
        return msgspec.structs.replace(flag, name=name_of(dest), option="", default=True, if_false=option)
    if action in ("store_true", "store_false", "store_const"):
        return flag
    choices = _list_of(module, its.get("choices"))
    kind, is_text_of_flag = _type_of(its.get("type"), default, choices)
    if is_text_of_flag:  # `--nesterov True`; what the script makes of the text, its own type says
        choices, default = ("True", "False"), None if default is None else str(default)
    if kind is None or (called(its["type"]) == "bool" if "type" in its else False):
        return None  # for `bool`, any text is true
    is_positional = not option
    is_optional = is_positional and module.value_or_none(its.get("nargs")) in ("?", "*")
    return Option(
        name=name,
        option=option,
        kind=kind,
        default=[default]
        if is_list and default is not None and not isinstance(default, list)
        else fitting(default, kind),
        choices=tuple(fitting(each, kind) for each in choices),
        is_required=(is_positional and not is_optional) or module.value_or_none(its.get("required")) is True,
        is_positional=is_positional,
        line=call.lineno,
    )


def _is_many(module: Module, node: ast.expr) -> bool:
    return module.value_or_none(node) not in (None, "?", 1) or isinstance(node, ast.Attribute)


def _type_of(node: ast.expr | None, default: object, choices: Sequence[object]) -> tuple[Kind | None, bool]:
    """Return the kind that a type of argparse makes, and whether it is a text that stands for a boolean."""
    if node is None:
        return kind_of(choices[0] if choices else default), False
    known = {"int": Kind.INTEGER, "float": Kind.NUMBER, "str": Kind.TEXT, "Path": Kind.TEXT, "bool": Kind.FLAG}
    name = called(node)
    if name in known:
        return known[name], False
    if "bool" in name.lower() or isinstance(default, bool):
        return Kind.TEXT, True
    if "int" in name.lower() or "float" in name.lower():
        return (Kind.NUMBER if "float" in name.lower() else Kind.INTEGER), False
    return kind_of(default), False


def _list_of(module: Module, node: ast.expr | None) -> tuple[object, ...]:
    match node:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return tuple(module.value_or_none(each) for each in elements)
        case ast.Call(func=ast.Name(id="range"), args=args) if args:
            ends = [module.value_or_none(each) for each in args]
            whole = [each for each in ends if isinstance(each, int)]
            return tuple(range(*whole)[:100]) if len(whole) == len(ends) <= 3 else ()
        case ast.Call(args=[first], func=ast.Name(id="list" | "sorted" | "tuple")):
            return _list_of(module, first)
        case ast.Name():
            value = module.value_or_none(node)
            return tuple(value) if isinstance(value, list) else ()
        case ast.Dict(keys=keys):
            return tuple(module.value_or_none(each) for each in keys)
        case ast.Call(func=ast.Attribute(value=ast.Dict() as inner, attr="keys")):
            return _list_of(module, inner)
    return ()


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
    if any(name in its for name in ("multiple", "count", "callback")) or not (options or (is_argument and names)):
        return None
    option, _, if_false = longest(options).partition("/") if options else ("", "", "")
    name = name_of(option or names[0])
    default, kind, line = module.value_or_none(its.get("default")), its.get("type"), call.lineno
    if if_false or module.value_or_none(its.get("is_flag")) is True or (isinstance(default, bool) and kind is None):
        return Option(
            name=name, option=option, kind=Kind.FLAG, default=bool(default), if_false=if_false.strip(), line=line
        )
    choices: tuple[object, ...] = ()
    low = high = None
    found = kind_of(default)
    match kind:
        case ast.Call() if called(kind) == "Choice" and kind.args:
            choices, found = _list_of(module, kind.args[0]), Kind.TEXT
        case ast.Call() if called(kind) in _RANGES:
            found = _RANGES[called(kind)]
            ends = {**dict(zip(("min", "max"), kind.args, strict=False)), **keywords_of(kind)}
            low, high = (_end(module, ends.get(each)) for each in ("min", "max"))
        case ast.expr():
            found = module.annotation(kind).kind or found
    return Option(
        name=name,
        option=option,
        kind=found,
        default=fitting(default, found),
        choices=choices,
        low=low,
        high=high,
        is_required=(is_argument and "default" not in its) or module.value_or_none(its.get("required")) is True,
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
                choices=_list_of(module, its.get("enum_values")),
                if_false=f"--no{name}" if kind is Kind.FLAG else "",
                low=low,
                high=high,
                line=call.lineno,
            )
        )
    return found
