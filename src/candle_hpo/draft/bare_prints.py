"""A script that prints a number alone → what that number is, as the script's text names it: `print(accuracy)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from candle_hpo.core.experiment import Language
from candle_hpo.core.objective import Direction
from candle_hpo.draft.objectives import judged
from candle_hpo.draft.python_values import tree_of

_IN_R = re.compile(r"\b(?:print|cat)\(\s*([A-Za-z][\w.$]*)\s*(?:,\s*(?:\"\\n\"|'\\n'|sep\s*=[^)]*)\s*)*\)")
_IN_BASH = re.compile(r"(?m)\becho\s+\"?\$\{?(\w+)\}?\"?\s*$")


def named_by_text(text: str, language: Language) -> tuple[str, Direction] | None:
    """Return the name of what a script prints alone, and the direction that it shows.

    The last one in the text decides. None where it has no name that shows a direction, or another one a different one.
    """
    match language:
        case Language.PYTHON:
            names = list(_in_python(text))
        case Language.R:
            names = _IN_R.findall(text)
        case Language.BASH:
            names = _IN_BASH.findall(text)
        case _:
            names = []
    directions = [judged(name, "")[0] for name in names]
    last = directions[-1] if directions else None
    return (names[-1], last) if last is not None and {*directions} <= {last, None} else None


def _in_python(text: str) -> Iterator[str]:
    """Yield what each `print` of a value names: `accuracy` for `print(round(accuracy, 3))`; "" where unclear."""
    tree = tree_of(text)
    for call in ast.walk(tree) if tree else ():
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print" and call.args:
            value = _value_of(call.args)
            if value is not None:
                yield _name_of(value)


def _value_of(arguments: list[ast.expr]) -> ast.expr | None:
    """Return the one value that is printed without a word beside it; None where there is another or none."""
    value = arguments[-1]  # behind the number of a step, if there is one: print(epoch, loss)
    if len(arguments) > 2 or not isinstance(arguments[0], ast.Name if len(arguments) == 2 else ast.expr):
        return None
    if isinstance(value, ast.Constant):
        return None
    if isinstance(value, ast.JoinedStr):
        pieces = [each for each in value.values if not (isinstance(each, ast.Constant) and not str(each.value).strip())]
        return pieces[0].value if len(pieces) == 1 and isinstance(pieces[0], ast.FormattedValue) else None
    is_text = any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(value))
    return None if is_text and isinstance(value, ast.BinOp) else value


def _name_of(value: ast.expr) -> str:
    """Return the name in an expression that shows a direction; "" where there is none, or it may be turned around."""
    if any(isinstance(each, ast.USub | ast.Sub | ast.Div) for each in ast.walk(value)):
        return ""
    for each in ast.walk(value):  # from the outside in: a function before what it is given
        if isinstance(each, ast.Name | ast.Attribute):
            name = each.id if isinstance(each, ast.Name) else each.attr
            if judged(name, "")[0] is not None:
                return name
    return ""
