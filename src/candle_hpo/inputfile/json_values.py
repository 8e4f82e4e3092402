"""What a hyperparameter's value may be: the values of JSON, read strictly."""

from __future__ import annotations

import json
import math
from typing import NoReturn


class NotJson(ValueError):
    """A text that is not JSON, or a value that JSON cannot hold; it says why, and `at` which character of a text."""

    def __init__(self, why: str, at: int = 0) -> None:
        super().__init__(why)
        self.at = at


def read_object(text: str) -> dict[str, object]:
    """Return the JSON object that `text` holds, perhaps with a `#` comment after it; raise `NotJson` otherwise.

    Names that appear twice, NaN, infinities and numbers too large for a float are refused: each would
    otherwise change its meaning silently.
    """
    value, end = _object_at(text, 0)
    rest = text[end:].strip()
    if rest and not rest.startswith("#"):
        raise NotJson(f'remove "{rest[:40]}" after the closing brace')
    return value


def read_list(text: str) -> list[tuple[int, dict[str, object]]]:
    """Return the objects of the JSON list that `text` is, each with where it begins in the text.

    Raises `NotJson` as `read_object` does, with the place.
    """
    found: list[tuple[int, dict[str, object]]] = []
    at = _next(text, text.index("[") + 1)
    while text[at : at + 1] != "]":
        value, end = _object_at(text, at)
        found.append((at, value))
        end = _next(text, end)
        at = _next(text, end + 1)
        if text[end : end + 1] == "]":
            at = end
        elif text[end : end + 1] != "," or text[at : at + 1] == "]":
            raise NotJson(_explained(text, end if text[end : end + 1] != "," else at), end)
    rest = text[at + 1 :].strip()
    if rest:
        raise NotJson(f'remove "{rest[:40]}" after the closing bracket', _next(text, at + 1))
    return found


def _next(text: str, at: int) -> int:
    """Return the place of the next character that is not a blank."""
    return len(text) - len(text[at:].lstrip())


def _object_at(text: str, at: int) -> tuple[dict[str, object], int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
        if not isinstance(value, dict):
            raise NotJson('this is not a JSON object such as {"epochs": 2, "batch_size": 64}')
        check(value)
    except NotJson as error:
        raise NotJson(str(error), at) from None
    except json.JSONDecodeError as error:
        raise NotJson(_explained(text, error.pos), error.pos) from None
    except RecursionError:
        raise NotJson("this is nested too deeply", at) from None
    except ValueError:  # Python's limit of digits in a whole number
        raise NotJson("a whole number in it has too many digits", at) from None
    return value, end


def _explained(text: str, at: int) -> str:
    """Return what is wrong with a text that stops to be JSON here, and what would be right if that is clear."""
    rest, before = text[at:], text[:at].rstrip()
    for python, right in (("None", "null"), ("True", "true"), ("False", "false")):
        if rest.startswith(python):
            return f"{python} is Python's; JSON writes {right}"
    if rest.startswith("'"):
        return "JSON puts text in double quotes"
    if before.endswith(",") and rest[:1] in ("}", "]"):
        return f'remove the comma before "{rest[0]}"'
    if not rest.strip():
        return "this is not JSON: it ends too early; is a bracket or a quote not closed?"
    return f'this is not JSON, from "{rest[:30]}" on'


def check(value: object) -> None:
    """Raise `NotJson` if the value, or one within it, is none that JSON and every language can hold."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise NotJson("there is half of a Unicode character in it (a lone surrogate)") from None
    except RecursionError:
        raise NotJson("this is nested too deeply") from None
    except ValueError:
        raise NotJson(
            "NaN, infinities and numbers too large for a float are not valid values of a hyperparameter"
        ) from None
    if _holds_nul(value):
        raise NotJson("there is the character NUL in it, which neither R nor bash nor a command line can hold")


def _holds_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(_holds_nul(name) or _holds_nul(item) for name, item in value.items())
    return any(map(_holds_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise NotJson(f'"{name}" appears twice; keep one')
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON value; a hyperparameter is a finite number, text, true, false or null")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotJson(f"{text[:40]} is too large for a floating-point number")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
