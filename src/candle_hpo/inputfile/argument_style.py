"""The keyword `argument_style`: what hyperparameters look like on the model's command line."""

from __future__ import annotations

import re

from candle_hpo.core.errors import nearest
from candle_hpo.core.experiment import ArgumentStyle

STYLES = {
    "--my-name value": ArgumentStyle("--", " ", dashes=True),
    "--my_name value": ArgumentStyle("--", " ", dashes=False),
    "--my-name=value": ArgumentStyle("--", "=", dashes=True),
    "--my_name=value": ArgumentStyle("--", "=", dashes=False),
    "-my_name value": ArgumentStyle("-", " ", dashes=False),
    "my_name=value": ArgumentStyle("", "=", dashes=False),
}
_OPTION = re.compile(r"([^\s:]+):(-[^\s/]+)?(?:/(-[^\s/]+)?)?")


def read_argument_style(text: str) -> ArgumentStyle:
    """Read a style, by its example, and the options of single hyperparameters, in any order.

    `batch_size:-b` names an option, `nesterov:--nesterov/--plain` the flags of a boolean for true and for false.
    Raises `ValueError`, which says what would be right.
    """
    words = text.split()
    example = " ".join(word for word in words if ":" not in word)
    if example and example not in STYLES:
        raise ValueError(f'"{example}" is not an argument style; ' + nearest(example, STYLES))
    style = STYLES[example or "--my-name value"]
    options: dict[str, str] = {}
    flags: dict[str, tuple[str, str]] = {}
    for word in words:
        if ":" in word:
            match = _OPTION.fullmatch(word)
            if not match or not (match[2] or match[3]):
                raise ValueError(
                    f'"{word}" names no option; write for instance batch_size:-b, or nesterov:--nesterov/--plain'
                )
            name, option, if_false = match[1], match[2] or "", match[3] or ""
            if name in options or name in flags:
                raise ValueError(f'"{name}" appears twice; keep one')
            if "/" in word:
                flags[name] = (option, if_false)
            else:
                options[name] = option
    return ArgumentStyle(style.prefix, style.separator, style.dashes, options, flags)
