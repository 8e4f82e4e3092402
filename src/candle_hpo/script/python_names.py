"""By which names a Python script knows its hyperparameters, and copies of them."""

from __future__ import annotations

import ast

_COPIES = {"dict", "copy", "deepcopy", "Namespace", "SimpleNamespace"}


def names_and_copies(tree: ast.Module, names: set[str]) -> tuple[set[str], dict[str, bool]]:
    """Return the names with those that stand for the same, such as `hp = hyperparams`, and names of copies of them.

    A copy may hold more than the hyperparameters where its entry is true: `{**defaults, **hyperparams}`.
    """
    copies: dict[str, bool] = {}
    while True:
        known = len(names) + len(copies)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Assign) or not all(isinstance(each, ast.Name) for each in node.targets):
                continue
            targets = {each.id for each in node.targets if isinstance(each, ast.Name)} - names
            if isinstance(node.value, ast.Name) and node.value.id in names:
                names = names | targets
            elif (may_hold_more := _is_copy(node.value, names)) is not None:
                copies |= dict.fromkeys(targets, may_hold_more)
        if len(names) + len(copies) == known:
            return names, {name: more for name, more in copies.items() if name not in names}


def _is_copy(node: ast.expr, names: set[str]) -> bool | None:
    """Return whether a copy of the hyperparameters may hold more than they; None for what is not a copy."""

    def is_whole(each: ast.expr | None) -> bool:
        return isinstance(each, ast.Name) and each.id in names

    match node:
        case ast.Dict(keys=keys, values=values):
            unpacked = [value for key, value in zip(keys, values, strict=True) if key is None]
            return len(values) > 1 if any(map(is_whole, unpacked)) else None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return True if is_whole(left) or is_whole(right) else None
        case ast.Call(func=ast.Attribute(value=value, attr="copy"), args=[]):
            return False if is_whole(value) else None
        case ast.Call(func=ast.Name(id=function) | ast.Attribute(attr=function)) if function in _COPIES:
            given = [*node.args, *(each.value for each in node.keywords if each.arg is None)]
            return len(node.args) + len(node.keywords) > 1 if any(map(is_whole, given)) else None
        case _:
            return None
