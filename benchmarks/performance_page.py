"""`docs/performance.md`, of which each benchmark writes its own part."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def write_part(name: str, text: str) -> None:
    """Put a text between the two marks of this part of the page."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    if not after:
        raise ValueError(f"{PAGE} has no part {begin} … {end}")
    PAGE.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
