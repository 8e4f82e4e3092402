"""Options that a Python script declares by argparse, or by optparse before it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from candle_hpo.draft.options import Kind, Option, fitting, kind_of, longest, name_of
from candle_hpo.draft.python_values import Module, called, calls_in, keywords_of, listed

# What such an option does is more than its value, or something else.
_NOT_SET = ("append", "append_const", "append_action", "count", "help", "version", "callback", "extend")
_DECLARES = ("add_argument", "add_option")
_DECLARES_OTHERS = (
    "add_arguments", "add_class_arguments", "add_function_arguments", "add_dataclass_arguments",
    "add_subclass_arguments", "add_lightning_class_args",
)  # fmt: skip
_HANDED_A_PARSER = ("autocomplete", "print", "len", "parse_args_and_config", "shtab_complete")
_TYPES = {"int": Kind.INTEGER, "float": Kind.NUMBER, "str": Kind.TEXT, "Path": Kind.TEXT, "bool": Kind.FLAG}
_OF_OPTPARSE = {"int": Kind.INTEGER, "long": Kind.INTEGER, "float": Kind.NUMBER}  # others are texts
_READS_LITERALS = ("eval", "literal_eval", "loads", "safe_load")
_ALWAYS = "it is always {}, given or not"
_CHANGED = "its type, {}, may make another value of it"
_TRUE = "the parser leaves it a text, and every text is true"
_AS_TEXT = "the parser leaves it a text; with type={} in {} it could be searched"


class Declared(NamedTuple):
    """Options, names of sub-commands, and whether there are other options that are declared elsewhere."""

    options: list[Option]
    commands: list[str]
    is_elsewhere: bool


def argparse_options(module: Module) -> Declared:
    """Return what the calls of argparse's parsers declare; a default that may be another one in the end is unknown."""
    found, commands = [], []
    command_of = _commands_of_parsers(module)
    is_elsewhere = _has_options_elsewhere(module)
    for call in calls_in(module.tree):
        function = called(call)
        if function in _DECLARES and call.args:
            texts = [module.value_or_none(each) for each in call.args]
            names = [each for each in texts if isinstance(each, str)]
            is_elsewhere |= not names
            option = _option(module, names, call) if names else None
            command = command_of(call.func.value) if isinstance(call.func, ast.Attribute) else ""
            found += [msgspec.structs.replace(option, command=command)] if option is not None else []
        elif function == "add_parser" and call.args and isinstance(name := module.value_or_none(call.args[0]), str):
            commands.append(name)
    return Declared(with_defaults_set(module, _agreed(found)), commands, is_elsewhere)


def _has_options_elsewhere(module: Module) -> bool:
    """Return whether other code than the script's own may add options to its parsers."""
    parsers = {
        target.id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name) and called(node.value) in ("ArgumentParser", "OptionParser", "add_parser")
    }
    for call in calls_in(module.tree):
        function = called(call)
        if function in _DECLARES_OTHERS:
            return True
        if function == "ArgumentParser":
            parents = keywords_of(call).get("parents")
            if isinstance(parents, ast.List) and any(called(each) not in parsers for each in parents.elts):
                return True
        given = [each for each in call.args if isinstance(each, ast.Name) and each.id in parsers]
        if given and function not in module.functions and function not in _HANDED_A_PARSER:
            return True
    return False


def _agreed(found: Iterable[Option]) -> list[Option]:
    """Return each option once; of one that is declared several times with several defaults, none is known."""
    kept: dict[tuple[str, str], Option] = {}
    for each in found:
        known = kept.setdefault((each.command, each.name), each)
        if known.default != each.default:
            kept[each.command, each.name] = msgspec.structs.replace(known, default=None)
    return list(kept.values())


def with_defaults_set(module: Module, found: list[Option]) -> list[Option]:
    """Return the options with the defaults that `set_defaults` gives them, all unknown where it gives others."""
    dests = dict(_dests_of_options(module))
    for call in calls_in(module.tree):
        if called(call) != "set_defaults":
            continue
        given = keywords_of(call)
        is_open = len(given) < len(call.keywords)  # **values
        for at, each in enumerate(found):
            dest = dests.get(each.name, each.name)
            if dest in given or is_open:
                value = fitting(module.value_or_none(given.get(dest)), each.kind)
                default = bool(value) if each.kind is Kind.FLAG and value is not None else value
                found[at] = _always(each, default) if each.kind is Kind.FLAG else _with_default(each, default)
    return found


def _dests_of_options(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the name of each option that is called otherwise in the script, and how."""
    for call in calls_in(module.tree):
        dest = module.value_or_none(keywords_of(call).get("dest")) if called(call) in _DECLARES else None
        names = [each for each in map(module.value_or_none, call.args) if isinstance(each, str)]
        if isinstance(dest, str) and names:
            yield name_of(longest(names)), dest


def _with_default(option: Option, default: object) -> Option:
    return msgspec.structs.replace(option, default=default)


def _always(flag: Option, default: object) -> Option:
    """Return a flag that has this default; one that can only be set to what it is anyway has nothing to vary."""
    settable = {True} if flag.option else set()
    settable |= {False} if flag.if_false else set()
    if default is None or settable <= {default}:
        why = "the script sets its default itself" if default is None else _ALWAYS.format(default)
        return msgspec.structs.replace(flag, default=None, left_alone=why)
    return msgspec.structs.replace(flag, default=default)


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


def _option(module: Module, names: Sequence[str], call: ast.Call) -> Option | None:
    its = keywords_of(call)
    action = module.value_or_none(its.get("action")) or ast.unparse(its["action"]) if "action" in its else "store"
    if action in _NOT_SET:
        return None
    option = longest(names) if names[0].startswith("-") else ""
    dest = module.value_or_none(its.get("dest"))
    is_short = isinstance(dest, str) and not option.startswith("--")
    name = name_of(str(dest) if is_short else option or names[0])
    if str(action).endswith("BooleanOptionalAction") or action in ("store_true", "store_false", "store_const"):
        return _flag(module, Option(name=name, option=option, kind=Kind.FLAG, line=call.lineno), str(action), its)
    default, is_list = module.value_or_none(its.get("default")), "nargs" in its and _is_many(module, its["nargs"])
    choices = listed(module, its.get("choices"))
    read = _type_of(module, name, its, default, choices)
    if read.is_flag_in_words:  # `--nesterov True`; what the script makes of the text, its own type says
        choices, default = ("True", "False"), None if default is None else str(default)
    if read.kind is None:
        return None
    choices = choices or read.choices
    is_positional = not option
    is_optional = is_positional and module.value_or_none(its.get("nargs")) in ("?", "*")
    if read.left_alone:
        default, choices = None, ()
    return Option(
        name=name,
        option=option,
        kind=read.kind,
        default=[default]
        if is_list and default is not None and not isinstance(default, list)
        else fitting(default, read.kind),
        choices=tuple(fitting(each, read.kind) for each in choices),
        is_required=(is_positional and not is_optional) or module.value_or_none(its.get("required")) is True,
        is_positional=is_positional,
        line=call.lineno,
        left_alone=read.left_alone,
    )


def _flag(module: Module, flag: Option, action: str, its: dict[str, ast.expr]) -> Option:
    default = module.value_or_none(its.get("default")) if "default" in its else action == "store_false"
    dest = module.value_or_none(its.get("dest"))
    if action == "store_const":
        return msgspec.structs.replace(flag, default=False)
    if action == "store_true":
        return _always(flag, None if default is None else bool(default))
    if action == "store_false":
        if isinstance(dest, str):
            flag = msgspec.structs.replace(flag, name=name_of(dest), option="", if_false=flag.option)
            return _always(flag, None if default is None else bool(default))
        return msgspec.structs.replace(flag, default=False)  # by its own name: whether it is given
    if_false = flag.option.replace("--", "--no-", 1)
    return msgspec.structs.replace(flag, default=bool(default), if_false=if_false)


def _is_many(module: Module, node: ast.expr) -> bool:
    return module.value_or_none(node) not in (None, "?", 1) or isinstance(node, ast.Attribute)


class _Type(NamedTuple):
    """What a type makes of the text that is given; with `left_alone`, perhaps another value than the default."""

    kind: Kind | None
    is_flag_in_words: bool = False
    choices: tuple[object, ...] = ()
    left_alone: str = ""


def _type_of(module: Module, name: str, its: dict[str, ast.expr], default: object, choices: Sequence[object]) -> _Type:
    node = its.get("type")
    usual = kind_of(choices[0] if choices else default)
    is_given_as_text = isinstance(default, str) and not isinstance(its.get("default"), ast.Attribute)
    if node is None:
        is_number = usual in (Kind.INTEGER, Kind.NUMBER) and not is_given_as_text
        if is_number and not _is_converted(module, name):
            return _Type(usual, left_alone=_AS_TEXT.format("int" if usual is Kind.INTEGER else "float", "the script"))
        return _Type(usual, left_alone=_TRUE if isinstance(default, bool) else "")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # optparse's
        return _Type(_OF_OPTPARSE.get(node.value, Kind.TEXT))
    function = called(node)
    if function in _TYPES:
        return _Type(None if function == "bool" else _TYPES[function])  # for `bool`, any text is true
    if members := module.members(function):
        if all(isinstance(each, str) for each in members.values()):
            return _Type(Kind.TEXT, choices=tuple(members.values()))
        return _Type(Kind.TEXT, left_alone=_CHANGED.format(function))
    if "bool" in function.lower() or isinstance(default, bool):
        return _Type(Kind.TEXT, is_flag_in_words=True)
    kind = _kind_made(module, node)
    if kind is None and function in _READS_LITERALS and not isinstance(default, list):
        kind = usual
    if kind is None and function not in module.functions and not isinstance(default, list):
        words = function.lower()
        kind = Kind.NUMBER if "float" in words else Kind.INTEGER if "int" in words else None
    if kind is None and default is not None and not is_given_as_text:
        return _Type(usual, left_alone=_CHANGED.format(function or "lambda"))
    return _Type(kind or usual)


def _is_converted(module: Module, name: str) -> bool:
    """Return whether the script itself makes a number of an option's text wherever it needs it: `float(args.lr)`."""
    text = ast.unparse(module.tree)
    uses = len(re.findall(rf"\.{re.escape(name)}\b", text))
    return uses > 0 and uses == len(re.findall(rf"\b(?:float|int)\(\w+\.{re.escape(name)}\)", text))


def _kind_made(module: Module, node: ast.expr) -> Kind | None:
    """Return the kind of number that a function makes of a text, and gives back unchanged; None where it may not."""
    if isinstance(node, ast.Lambda) and len(node.args.args) == 1:
        return _kind_converted(node.body, {node.args.args[0].arg: Kind.TEXT})
    function = module.functions.get(node.id) if isinstance(node, ast.Name) else None
    if function is None or len(function.args.args) != 1:
        return None
    known: dict[str, Kind | None] = {function.args.args[0].arg: Kind.TEXT}
    kinds = set()
    for each in ast.walk(function):
        match each:
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                known[target] = _kind_converted(value, known) if target not in known or known[target] else None
            case ast.AugAssign(target=ast.Name(id=target)):
                known[target] = None
    for each in ast.walk(function):
        if isinstance(each, ast.Return) and each.value is not None:
            kinds.add(_kind_converted(each.value, known))
    return kinds.pop() if len(kinds) == 1 and kinds <= {Kind.INTEGER, Kind.NUMBER} else None


def _kind_converted(node: ast.expr, known: Mapping[str, Kind | None]) -> Kind | None:
    match node:
        case ast.Name(id=name):
            return known.get(name)
        case ast.Call(func=ast.Name(id="int" | "float" | "str" as function), args=[inner], keywords=[]):
            return _TYPES[function] if _kind_converted(inner, known) else None
    return None
