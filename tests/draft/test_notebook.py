"""What papermill can set in a notebook."""

from __future__ import annotations

import json

import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.draft.notebook import options_of_notebook


def notebook(source: str | list[str], tags: list[str]) -> str:
    cells = [
        {"cell_type": "markdown", "source": "x"},
        {"cell_type": "code", "metadata": {"tags": tags}, "source": source},
    ]
    return json.dumps({"cells": cells})


def test_a_notebook_has_what_its_tagged_cell_sets() -> None:
    source = [
        "rate = 0.1  # of learning\n",
        "n: int = 3\n",
        "kind = 'a'\n",
        "fast = True\n",
        "x = rate * 2\n",
        "path = f()",
    ]
    found = options_of_notebook(notebook(source, ["parameters"]), "x.ipynb").found
    assert [(each.name, each.default) for each in found] == [("rate", 0.1), ("n", 3), ("kind", "a"), ("fast", True)]
    of_r = options_of_notebook(notebook("rate <- 0.1\nn <- 3L\nfast <- TRUE", ["parameters"]), "x.ipynb").found
    assert [(each.name, each.default) for each in of_r] == [("rate", 0.1), ("n", 3), ("fast", True)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (notebook("x = 1", []), "no cell with the tag parameters"),
        (notebook("x = 1", ["parameters"]).replace('"x = 1"', "5"), "not a notebook"),
        ("{}", "not a notebook"),
        ("x", "not a"),
    ],
)
def test_a_notebook_that_papermill_could_not_vary(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        options_of_notebook(text, "x.ipynb")
