"""Hyperparameters as each language writes them, so that no model host needs to read JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from candle_hpo.core.number_text import json_text

_LARGEST_R_INTEGER = 2**31 - 1
_LONGEST_EXPORT = 64_000  # bytes; Linux takes 128 KiB for one variable of the environment


def plain(value: object) -> str:
    """Return a value as a command line or a shell variable holds it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def as_json(hyperparameters: Mapping[str, object]) -> bytes:
    """Return the hyperparameters as a JSON object, which is YAML too: a line for each."""
    lines = ",\n".join(f" {json_text(name)}: {json_text(value)}" for name, value in hyperparameters.items())
    return f"{{\n{lines}\n}}\n".encode()


def as_r(hyperparameters: Mapping[str, object]) -> bytes:
    """Return an R expression for the hyperparameters, in ASCII, whatever R's locale: a list with their names.

    Lists of numbers, of texts and of booleans become vectors, other lists and objects become lists.
    """
    return f"{_r_list(hyperparameters)}\n".encode("ascii")


def as_bash(hyperparameters: Mapping[str, object]) -> bytes:
    """Return a shell function `candle_get_param`, which prints the value of the hyperparameter that it is given.

    Scripts that the script runs have it too, unless it is so long that no program could be started with it.
    """
    cases = [
        f"    {shlex.quote(name)}) printf '%s\\n' {shlex.quote(plain(value))} ;;"
        for name, value in hyperparameters.items()
    ]
    there = ", ".join(hyperparameters) or "none"
    message = f'" (there are: {there}); add it to &default_model, or to the sets of &param_space, in the input file'
    lines = [
        "candle_get_param() {",
        '  case "$1" in',
        *cases,
        f"    *) printf '%s\\n' 'candle: there is no hyperparameter \"'\"$1\"{shlex.quote(message)} >&2; return 1 ;;",
        "  esac",
        "}",
    ]
    text = "\n".join(lines).encode() + b"\n"
    return text + b"export -f candle_get_param\n" if len(text) <= _LONGEST_EXPORT else text


def _r_value(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            # R's integers have 32 bits; a longer one is a number.
            return f"{value}L" if abs(value) <= _LARGEST_R_INTEGER else _r_number(value)
        case float():
            return _r_number(value)
        case str():
            return _r_text(value)
        case list():
            return _r_vector(value)
        case dict():
            return _r_list(value)
        case _:
            raise TypeError(f"{value!r} is not a JSON value")


def _r_number(value: float) -> str:
    """Return a number in hexadecimal: R's reading of decimals is not exact in the last bit."""
    try:
        return float(value).hex()
    except OverflowError:  # a whole number beyond what R can hold, which says so itself: Inf
        return str(value)


def _r_vector(values: Sequence[object]) -> str:
    kinds = {type(value) for value in values}
    is_vector = kinds and (kinds <= {int, float} or kinds in ({str}, {bool}))
    return f"{'c' if is_vector else 'list'}({', '.join(map(_r_value, values))})"


def _r_list(values: Mapping[str, object]) -> str:
    items, names = ", ".join(map(_r_value, values.values())), ", ".join(map(_r_text, values))
    return f"structure(list({items}), names = c({names}))" if values else "list()"


def _r_text(text: str) -> str:
    def written(character: str) -> str:
        if character in '"\\':
            return f"\\{character}"
        return character if " " <= character <= "~" else f"\\U{{{ord(character):x}}}"

    return f'"{"".join(map(written, text))}"'
