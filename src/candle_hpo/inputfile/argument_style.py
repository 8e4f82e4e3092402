"""`argument_style`: examples of what arguments look like -> the style of all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from candle_hpo.core.errors import nearest
from candle_hpo.core.experiment import ArgumentStyle
from candle_hpo.inputfile.keyword_values import KeywordValueError

STYLES = (
    "--my-name value",
    "--my_name value",
    "--my-name=value",
    "--my_name=value",
    "-my_name value",
    "-my_name=value",
    "name=value",
    "+name=value",
    "++name=value",
    "name value",
    "-p name value",
    "--opt name=value",
)
# Where dashes are usual, the example has two words, so that it shows whether underscores become dashes.
_STYLE = re.compile(
    r"(?:(?P<prefix>[^\w\s]{0,2}[A-Z]?)my(?P<joint>[-_])|(?P<plain>\+{0,2}))name(?P<separator>=| )value"
    r"(?: (?P<flag>.+))?"
)
_OF_BOOLEANS = {
    "flag": "flag",
    "flag/{prefix}no-flag": "no-",
    "flag/{prefix}noflag": "no",
    "flag{separator}value": "value",
}
_OPTION = re.compile(r"([^\s:]+):(-[^\s/]+)?(?:/(-[^\s/]+)?)?")


def argument_style(text: str) -> ArgumentStyle:
    """Return what arguments look like, by an example of each kind, and options of single hyperparameters, in any order.

    `--my-name value` is the example of any value, before which other words may come (`-p name value`), and
    `--flag/--no-flag` that of a boolean. `batch_size:-b` names an option, `nesterov:--nesterov/--plain` the flags of a
    boolean for true and for false.
    """
    words = text.split()
    example = [word for word in words if ":" not in word]
    style = _style(example) if example else ArgumentStyle()
    options: dict[str, str] = {}
    flags: dict[str, tuple[str, str]] = {}
    for word in words:
        if ":" in word:
            match = _OPTION.fullmatch(word)
            if not match or not (match[2] or match[3]):
                raise KeywordValueError(
                    f'"{word}" names no option; write for instance batch_size:-b, or nesterov:--nesterov/--plain'
                )
            name, option, if_false = match[1], match[2] or "", match[3] or ""
            if name in options or name in flags:
                raise KeywordValueError(f'"{name}" appears twice; keep one')
            if "/" in word:
                flags[name] = (option, if_false)
            else:
                options[name] = option
    return ArgumentStyle(style.prefix, style.separator, style.dashes, style.before, style.booleans, options, flags)


def _style(example: Sequence[str]) -> ArgumentStyle:
    """Return the style of an example, and of one for booleans behind it."""
    is_name = [word.partition("=")[0].endswith("name") for word in example]
    begins = is_name.index(True) if True in is_name else len(example)
    match = _STYLE.fullmatch(" ".join(example[begins:]))
    if match is None:
        whole = " ".join(example)
        if example[0].partition("=")[0].partition("/")[0].endswith("flag"):
            raise KeywordValueError(f'"{whole}" is an example for booleans; write one for other values before it')
        raise KeywordValueError(f'"{whole}" is not an argument style; ' + nearest(whole, STYLES))
    prefix, separator = match["prefix"] or match["plain"] or "", match["separator"]
    has_flags = prefix.startswith("-")
    booleans = "flag" if has_flags else "value"
    if match["flag"]:
        given = {"prefix": prefix, "separator": separator}
        forms = {prefix + form.format(**given): kind for form, kind in _OF_BOOLEANS.items()}
        if not has_flags or match["flag"] not in forms:
            shown = ", ".join(forms) if has_flags else f"none, since they are written {prefix}name{separator}true"
            raise KeywordValueError(f'"{match["flag"]}" is not an example for booleans; valid are {shown}')
        booleans = forms[match["flag"]]
    return ArgumentStyle(prefix, separator, match["joint"] == "-", tuple(example[:begins]), booleans)  # type: ignore[arg-type]
