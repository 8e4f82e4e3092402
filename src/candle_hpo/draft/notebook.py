"""What can be set in a notebook: the values of its cell with the tag `parameters`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

from candle_hpo.core.errors import InputError
from candle_hpo.draft.options import Option, Options, Way, kind_of, number_or_text


def options_of_notebook(text: str, name: str) -> Options:
    """Return what papermill can set in a notebook: what its cell with the tag `parameters` sets to a constant.

    Raises `InputError` where there is no such cell: papermill's own would be the first one, and what the notebook sets
    behind it would hold.
    """
    try:
        cells = [each for each in json.loads(text)["cells"] if each["cell_type"] == "code"]
        tagged = next((each for each in cells if "parameters" in each.get("metadata", {}).get("tags", ())), None)
        source = "" if tagged is None else "".join(tagged["source"])  # a text, or its lines
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{name} is not a notebook in the present format of Jupyter") from None
    if tagged is None:
        raise InputError(
            f"{name} has no cell with the tag parameters, whose values papermill could replace; in Jupyter, put what "
            "is to vary into its own cell, and give that the tag parameters (property inspector, cell tags)"
        )
    found = tuple(_constants(source))
    return Options(Way.VARIABLES, found, "its cell with the tag parameters")


def _constants(source: str) -> Iterator[Option]:
    """Yield what a cell in Python, or one in R, sets to a number, a text or a truth value."""
    for line in source.splitlines():
        match = re.match(r"([A-Za-z][\w.]*)\s*(?::\s*[\w.]+\s*)?(?:<-|=)\s*([^#]+?)\s*(?:#.*)?$", line)
        if match is None:
            continue
        try:
            value = ast.literal_eval(match[2])
        except (ValueError, SyntaxError):
            in_r = {"TRUE": True, "FALSE": False}
            value = in_r[match[2]] if match[2] in in_r else number_or_text(match[2].removesuffix("L"))
            if isinstance(value, str):
                continue
        if isinstance(value, bool | int | float | str):
            yield Option(name=match[1], kind=kind_of(value), default=value)
