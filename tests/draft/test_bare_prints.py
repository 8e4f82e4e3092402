"""What a script prints without a name, and what its text calls it."""

from __future__ import annotations

import pytest

from candle_hpo.core.experiment import Language
from candle_hpo.core.objective import Direction
from candle_hpo.draft.bare_prints import named_by_text

DOWN, UP = Direction.MINIMIZE, Direction.MAXIMIZE


@pytest.mark.parametrize(
    ("text", "name", "direction"),
    [
        ("print(accuracy)", "accuracy", UP),
        ("print(args)\nprint('done')\nprint(round(best_loss, 3))", "best_loss", DOWN),
        ("print(accuracy_score(y, model.predict(X)))", "accuracy_score", UP),
        ("print(mean_squared_error(y, p))", "mean_squared_error", DOWN),
        ("print(model.score(X, y))", "score", UP),
        ("print(f'{rmse:.3f}')", "rmse", DOWN),
        ("print(loss.item())", "loss", DOWN),
        ("print(epoch, loss.item())", "loss", DOWN),
    ],
)
def test_what_is_printed_alone_has_its_name_in_the_text(text: str, name: str, direction: Direction) -> None:
    assert named_by_text(text, Language.PYTHON) == (name, direction)


@pytest.mark.parametrize(
    "text",
    [
        "print(x)",
        "print(1 - accuracy)",
        "print(-cross_val_score(m, X, y).mean())",
        "print('loss', loss)",
        "print('loss: ' + str(loss))",
        "print(accuracy)\nprint(loss)",
        "print(loss)\nprint(x)",
        "def broken(",
    ],
)
def test_where_it_has_none_or_may_be_turned_around(text: str) -> None:
    assert named_by_text(text, Language.PYTHON) is None


def test_other_languages() -> None:
    assert named_by_text('cat(rmse, "\\n")', Language.R) == ("rmse", DOWN)
    assert named_by_text("print(fit$accuracy)", Language.R) == ("fit$accuracy", UP)
    assert named_by_text('echo "$score"', Language.BASH) == ("score", UP)
    assert named_by_text("echo $x", Language.BASH) is None
    assert named_by_text("", Language.PROGRAM) is None
