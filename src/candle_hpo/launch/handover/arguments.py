"""Hyperparameters as arguments on a command line, for a script that reads its own options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from candle_hpo.core.experiment import ArgumentStyle
from candle_hpo.core.number_text import decimal_text
from candle_hpo.launch.handover.texts import plain

_NUMBER = re.compile(r"-(\d+|\d*\.\d+)")  # as argparse takes it for a value, not an option


def as_arguments(hyperparameters: Mapping[str, object], style: ArgumentStyle) -> list[str]:
    """Return the arguments that give the model these hyperparameters, in their order.

    A boolean is a flag: there or not. A hyperparameter that is null is left out. A list's values follow one
    another, or are joined by commas where a name and its value are one argument.
    """
    return [argument for name, value in hyperparameters.items() for argument in _arguments(name, value, style)]


def _arguments(name: str, value: object, style: ArgumentStyle) -> Iterator[str]:
    option = style.options.get(name) or style.prefix + (name.replace("_", "-") if style.dashes else name)
    if isinstance(value, bool) and (style.prefix or name in style.flags):
        if_true, if_false = style.flags.get(name, (option, ""))
        yield from filter(None, [if_true if value else if_false])
    elif value is not None:
        values = value if isinstance(value, list) else [value]
        if style.separator == " " or name in style.options:
            yield from _apart(option, values)
        else:
            yield f"{option}{style.separator}{','.join(map(plain, values))}"


def _apart(option: str, values: Sequence[object]) -> Iterator[str]:
    """Yield an option and its values; one that looks like an option itself is joined to its name.

    Where that cannot be, as within a list, a number has no exponent: parsers of options know `-0.00001` for a value.
    """
    texts = [plain(value) for value in values]
    looks_like_option = [text.startswith("-") and not _NUMBER.fullmatch(text) for text in texts]
    if looks_like_option == [True] and option.startswith("--"):
        yield f"{option}={texts[0]}"
    elif looks_like_option == [True] and isinstance(values[0], str) and len(option) == len("-x"):
        yield option + texts[0]
    else:
        yield option
        for value, text, is_confusing in zip(values, texts, looks_like_option, strict=True):
            yield decimal_text(value) if is_confusing and isinstance(value, float) else text
