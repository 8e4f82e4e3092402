"""Numbers as text, and JSON with such numbers: read as numbers by every language, without the loss of a digit."""

from __future__ import annotations

import json
from decimal import Decimal


def number_text(number: float) -> str:
    """Return the shortest text that is exactly this number again: `1.0e-05`, where Python itself writes `1e-05`.

    A point before the exponent makes it a number for YAML 1.1, and its sign for everybody: the tag float of
    https://yaml.org/type/float.html. JSON, Python, R, C, Fortran and awk read it too.
    """
    digits, exponential, exponent = repr(number).partition("e")
    return f"{digits}.0e{exponent}" if exponential and "." not in digits else digits + exponential + exponent


def decimal_text(number: float) -> str:
    """Return the same digits without an exponent: `-0.00001`, which no parser of options takes for an option."""
    return format(Decimal(repr(number)), "f")


def json_text(value: object) -> str:
    """Return a value of JSON on one line, with its numbers as `number_text` writes them."""
    match value:
        case bool() | None | str():
            return json.dumps(value, ensure_ascii=False)
        case int() | float():
            return number_text(value)
        case list():
            return f"[{', '.join(map(json_text, value))}]"
        case dict():
            return f"{{{', '.join(f'{json_text(name)}: {json_text(item)}' for name, item in value.items())}}}"
        case _:
            raise TypeError(f"{value!r} is not a value of JSON")
