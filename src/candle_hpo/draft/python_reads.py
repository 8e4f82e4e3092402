"""Values that a Python script reads by itself: its environment, `sys.argv`, and candle's hyperparameters."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from candle_hpo.draft.options import Kind, Option, fitting, kind_of, may_be_secret, name_of
from candle_hpo.draft.python_values import Module, called, calls_in


def environment_options(module: Module) -> list[Option]:
    """Return the variables of the environment that a script reads, but for those of the system and of libraries."""
    found = []
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(args=[key, *rest]) if ast.unparse(node.func) in ("os.environ.get", "os.getenv", "getenv"):
                default = module.value_or_none(rest[0]) if rest else None
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=key, ctx=ast.Load()):
                default = None
            case _:
                continue
        name = module.value_or_none(key)
        if isinstance(name, str) and is_of_the_user(name):
            kind = _kind_around(module.tree, node) or kind_of(_number_in(default))
            found.append(
                Option(
                    name=name, kind=kind, default=fitting(default, kind), is_required=default is None, line=node.lineno
                )
            )
    return found


def _kind_around(tree: ast.AST, node: ast.AST) -> Kind | None:
    """Return the kind of what a conversion around a node makes: `int(os.environ["EPOCHS"])`."""
    for call in calls_in(tree):
        if node in call.args and called(call) in ("int", "float"):
            return {"int": Kind.INTEGER, "float": Kind.NUMBER}[called(call)]
    return None


def _number_in(value: object) -> object:
    """Return the number that a text holds, or else what it is."""
    for kind in (Kind.INTEGER, Kind.NUMBER):
        found = fitting(value, kind)
        if found is not value:
            return found
    return value


_OF_THE_SYSTEM = {
    "HOME", "PATH", "USER", "PWD", "TMPDIR", "LANG", "SHELL", "TERM", "DISPLAY", "HOSTNAME", "LOGNAME", "PYTHONPATH",
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "DEBUG", "VERBOSE",
}  # fmt: skip
_PREFIXES = (
    "CANDLE_", "CUDA_", "SLURM_", "NCCL_", "TF_", "XLA_", "JAX_", "OMP_", "MKL_", "PYTORCH_", "TORCH_", "HF_", "WANDB_",
    "KERAS_", "LD_", "LC_", "XDG_", "SSH_", "CONDA_", "VIRTUAL_", "PYTHON", "BASH_", "GITHUB_", "MPI_", "OMPI_", "PMI_",
    "TRANSFORMERS_", "TOKENIZERS_", "AWS_", "COMET_", "MLFLOW_",
)  # fmt: skip


def is_of_the_user(name: str) -> bool:
    """Return whether a variable of the environment is one that a script may have for its own hyperparameters."""
    is_usual = name in _OF_THE_SYSTEM or name.startswith(_PREFIXES)
    return name.isupper() and not is_usual and not may_be_secret(name)


def positional_options(module: Module) -> list[Option]:
    """Return the places of a command line that a script reads as `sys.argv[1]`, called by their variables."""
    found: dict[int, Option] = {}
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case _:
                continue
        place, kind, default = _argument_in(module, value)
        if place > 0:
            default = _set_before(module, name, node.lineno) if default is None else default
            kind = kind_of(default) if kind is Kind.TEXT else kind
            found.setdefault(
                place,
                Option(
                    name=name_of(name), kind=kind, default=fitting(default, kind), is_required=default is None,
                    is_positional=True, line=node.lineno,
                ),
            )  # fmt: skip
    return [found[place] for place in sorted(found)] if sorted(found) == list(range(1, len(found) + 1)) else []


def _set_before(module: Module, name: str, line: int) -> object:
    """Return what a name has before this line, where one line alone gives it something: `rate = 0.1`."""
    values = [
        node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign) and node.lineno < line
        for target in node.targets
        if isinstance(target, ast.Name) and target.id == name
    ]
    return module.value_or_none(values[0]) if len(values) == 1 else None


def _argument_in(module: Module, node: ast.expr) -> tuple[int, Kind, object]:
    """Return the place of `sys.argv` in an expression, 0 for none, with its kind, and its default after an `else`."""
    match node:
        case ast.IfExp(body=body, orelse=orelse):
            place, kind, _ = _argument_in(module, body)
            default = module.value_or_none(orelse)
            return place, kind if kind is not Kind.TEXT else kind_of(default), default
        case ast.Call(func=ast.Name(id="float" | "int" | "str" as function), args=[inner]):
            place, _, default = _argument_in(module, inner)
            return place, {"float": Kind.NUMBER, "int": Kind.INTEGER, "str": Kind.TEXT}[function], default
        case ast.Subscript(value=ast.Attribute(attr="argv") | ast.Name(id="argv"), slice=place_node):
            number = module.value_or_none(place_node)
            return (number if isinstance(number, int) else 0), Kind.TEXT, None
    return 0, Kind.TEXT, None


def hyperparameter_options(module: Module, names: Sequence[str]) -> list[Option]:
    """Return the hyperparameters of these names that a script reads, with the defaults that it gives them."""
    defaults: dict[str, object] = {}
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[key, value]):
                name = module.value_or_none(key)
                if name in ("hyperparams", "candle_params") and isinstance(value, ast.Dict):
                    for each, default in zip(value.keys, value.values, strict=True):
                        defaults.setdefault(str(module.value_or_none(each)), module.value_or_none(default))
                elif isinstance(name, str):
                    defaults.setdefault(name, module.value_or_none(value))
            case ast.Dict(keys=keys, values=values):
                for each, default in zip(keys, values, strict=True):
                    if isinstance(name := module.value_or_none(each), str):
                        defaults.setdefault(name, module.value_or_none(default))
    return [
        Option(
            name=name, kind=kind_of(defaults.get(name)), default=defaults.get(name), is_required=name not in defaults
        )
        for name in names
    ]
