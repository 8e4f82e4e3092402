"""Options that come from a function's parameters or a class's fields: typer, fire, tyro, HfArgumentParser."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from candle_hpo.draft.options import Kind, Option, fitting, kind_of, longest, name_of
from candle_hpo.draft.python_argparse import with_defaults_set
from candle_hpo.draft.python_parsers import command_name
from candle_hpo.draft.python_values import Module, called, calls_in, keywords_of


class _Declared(NamedTuple):
    """A parameter of a function, or a field of a class; `is_required` is whether it has no default at all."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    is_required: bool
    line: int


def typer_options(module: Module) -> tuple[list[Option], list[str]]:
    """Return the options of typer's commands, and the names of commands where there are several."""
    commands = {
        command_name(module, function): function
        for function in module.functions.values()
        if any(called(each) == "command" for each in function.decorator_list)
    }
    if not commands:
        commands = {name: module.functions[name] for name in _given_to(module, "run") if name in module.functions}
    found = [
        msgspec.structs.replace(option, command=name)
        for name, function in commands.items()
        for each in _parameters(function)
        if (option := _of_typer(module, each)) is not None
    ]
    return found, list(commands) if len(commands) > 1 else []


def _of_typer(module: Module, its: _Declared) -> Option | None:
    said, info, default = module.annotation(its.annotation), None, its.default
    for each in (*said.extra, default):
        if isinstance(each, ast.Call) and called(each) in ("Option", "Argument"):
            info = each
    is_argument = info is not None and called(info) == "Argument"
    if info is not None and info is default:
        default = info.args[0] if info.args else keywords_of(info).get("default")
        info = ast.Call(info.func, info.args[1:], info.keywords)
    is_required = default is None or (isinstance(default, ast.Constant) and default.value is ...)
    is_argument |= is_required and info is None
    names = [each for each in map(module.value_or_none, info.args if info else ()) if isinstance(each, str)]
    options = [each for each in names if each.startswith("-")]
    usual = "--" + its.name.replace("_", "-")
    option, _, if_false = (longest(options) if options else usual).partition("/")
    value = module.value_or_none(default)
    kind = said.kind or kind_of(value)
    ends = keywords_of(info) if info else {}
    low, high = (module.value_or_none(ends.get(each)) for each in ("min", "max"))
    if kind is Kind.FLAG:
        if_false = if_false if options else usual.replace("--", "--no-", 1)
        return Option(name=its.name, option=option, kind=kind, default=bool(value), if_false=if_false, line=its.line)
    if said.is_list:  # typer wants `--x 1 --x 2`
        return None
    return Option(
        name=name_of(its.name),
        option="" if is_argument else option,
        kind=kind,
        default=fitting(value, kind),
        choices=said.choices,
        low=float(low) if isinstance(low, int | float) else None,
        high=float(high) if isinstance(high, int | float) else None,
        is_required=is_required,
        is_positional=is_argument,
        line=its.line,
    )


def fire_options(module: Module) -> tuple[list[Option], list[str]]:
    """Return the options of the function that is given to `fire.Fire`; of a class, its methods are commands."""
    found: list[Option] = []
    commands: list[str] = []
    for name in _given_to(module, "Fire"):
        if name in module.functions:
            found += [
                _simple(module, each, f"--{each.name}", f"--no{each.name}")
                for each in _parameters(module.functions[name])
            ]
        elif name in module.classes:
            methods = [each for each in module.classes[name].body if isinstance(each, ast.FunctionDef)]
            commands += [each.name for each in methods if not each.name.startswith("_")]
            found += [
                msgspec.structs.replace(
                    _simple(module, each, f"--{each.name}", f"--no{each.name}"), command=method.name
                )
                for method in methods
                for each in _parameters(method)
            ]
    return found, commands


def tyro_options(module: Module) -> list[Option]:
    """Return the options of the functions or dataclasses that are given to `tyro.cli`."""
    if any("default" in keywords_of(call) for call in calls_in(module.tree) if called(call) == "cli"):
        return []  # all defaults are those of this object, which only running the script shows
    return [option for name in _given_to(module, "cli") for option in _of_tyro(module, name, "")]


def _of_tyro(module: Module, name: str, prefix: str) -> Iterator[Option]:
    for each in _members(module, name):
        said = module.annotation(each.annotation)
        if said.nested is not None:
            for inner in _of_tyro(module, said.nested.name, f"{prefix}{each.name}."):
                yield inner if _is_plain(each.default) else _without_default(inner)
            continue
        path = f"{prefix}{each.name}"
        option = "--" + path.replace("_", "-")
        if_false = "--" + f"{prefix}no-{each.name}".replace("_", "-")
        yield _simple(module, each._replace(name=path), option, if_false)


def _is_plain(default: ast.expr | None) -> bool:
    """Return whether an object in a field has the defaults of its class: `Optimizer()`, and not `Optimizer(lr=1)`."""
    return default is None or (isinstance(default, ast.Call) and not default.args and not default.keywords)


def _without_default(option: Option) -> Option:
    why = "the script sets its default itself" if option.kind is Kind.FLAG else ""
    return msgspec.structs.replace(option, default=None, left_alone=why)


def dataclass_options(module: Module) -> tuple[list[Option], bool]:
    """Return the options of transformers' `HfArgumentParser`, and whether it has classes from elsewhere."""
    found: list[Option] = []
    is_elsewhere = False
    for name in _given_to(module, "HfArgumentParser"):
        bases = module.classes[name].bases if name in module.classes else ()
        is_elsewhere |= name not in module.classes or any(called(each) not in module.classes for each in bases)
        for each in _members(module, name):
            option = _simple(module, each, f"--{each.name}", f"--no_{each.name}")
            found.append(option if option.default is True else msgspec.structs.replace(option, if_false=""))
    return with_defaults_set(module, found), is_elsewhere


def _simple(module: Module, its: _Declared, option: str, if_false: str) -> Option:
    said, default = module.annotation(its.annotation), module.value_or_none(its.default)
    kind = said.kind or kind_of(default)
    if kind is Kind.FLAG:
        default = bool(default)
    return Option(
        name=name_of(its.name),
        option=option,
        kind=kind,
        default=fitting(default, kind),
        choices=said.choices,
        if_false=if_false if kind is Kind.FLAG else "",
        is_required=its.is_required,
        line=its.line,
    )


def _given_to(module: Module, function: str) -> list[str]:
    """Return the names that are given to a function of this name: `main` in `typer.run(main)`."""
    found: list[str] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node) == function and node.args:
            first = node.args[0]
            elements: Sequence[ast.expr] = first.elts if isinstance(first, ast.Tuple | ast.List) else [first]
            found += [name for each in elements if (name := called(each))]
    return found


def _members(module: Module, name: str) -> Iterator[_Declared]:
    """Yield the parameters of a function, or the fields of a class; one that a class has from another, as it says."""
    if name in module.functions:
        yield from _parameters(module.functions[name])
    elif name in module.classes:
        cls = module.classes[name]
        bases = [base for each in reversed(cls.bases) if (base := called(each)) != name]
        inherited = [each for base in bases for each in _members(module, base)]
        yield from {each.name: each for each in (*inherited, *_fields(cls))}.values()


def _fields(cls: ast.ClassDef) -> Iterator[_Declared]:
    for each in cls.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            is_required, default = each.value is None, each.value
            if isinstance(default, ast.Call) and called(default) in ("field", "Field", "arg"):
                its, first = keywords_of(default), next(iter(default.args), None)
                is_required = first is None and not {"default", "default_factory"} & its.keys()
                factory = its.get("default_factory")
                default = factory.body if isinstance(factory, ast.Lambda) else its.get("default", first)
            yield _Declared(each.target.id, each.annotation, default, is_required, each.lineno)


def _parameters(function: ast.FunctionDef) -> Iterator[_Declared]:
    its = function.args
    places = [*its.posonlyargs, *its.args]
    defaults: list[ast.expr | None] = [*[None] * (len(places) - len(its.defaults)), *its.defaults]
    pairs = [*zip(places, defaults, strict=True), *zip(its.kwonlyargs, its.kw_defaults, strict=True)]
    for parameter, default in pairs:
        if parameter.arg not in ("self", "cls", "ctx"):
            yield _Declared(parameter.arg, parameter.annotation, default, default is None, parameter.lineno)
