"""Makes docs/keywords.md from the code, so that it is always true: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.inputfile.keywords import KEYWORDS, Keyword

PAGE = Path(__file__).parent.parent / "docs" / "keywords.md"
_HEAD = """# Keywords of `&control`

Write `name = value`, a line each. Both names of a keyword work. Values are read as bash reads them: `$(pwd)`,
`$VARIABLE` and `~` are expanded, single quotes expand nothing, and quotes may be left out. A file's path that does
not begin with `/` is taken from the folder where you run `candle`.

This page is made from the code by `make docs`.

| keyword | also | meaning | default |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """Return the page."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    return _HEAD + "".join(_row(keyword, defaults[keyword.name]) for keyword in KEYWORDS)


def _row(keyword: Keyword, default: object) -> str:
    also = f"`{keyword.also}`" if keyword.also else ""
    return f"| `{keyword.name}` | {also} | {keyword.meaning} | {keyword.default_shown or _shown(default)} |\n"


def _shown(default: object) -> str:
    if default is msgspec.NODEFAULT:
        return "required"
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return f"`{int(default)}`"
    return (
        f"`{getattr(default, 'value', default):g}`"
        if isinstance(default, float)
        else f"`{getattr(default, 'value', default)}`"
    )


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())
