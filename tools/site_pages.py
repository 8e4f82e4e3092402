"""A hook of MkDocs: pages of the repository that lie outside docs/, and links to them, on the documentation's site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
# A file of the repository -> where it is on the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "benchmarks/search_quality.md": "benchmarks/search_quality.md",
}
# Pages that are listed below "About" when they are there.
_ABOUT = ["reliability.md", "security.md", "performance.md", "benchmarks/search_quality.md"]
_ABOUT += ["contributing.md", "changes.md"]
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
_SOURCES: dict[str, str] = {}  # a page of the site -> its file in the repository


def on_config(config: Any) -> Any:
    """List the pages that are there."""
    there = [page for page in _ABOUT if page in PAGES.values() or (ROOT / "docs" / page).exists()]
    for section in config.nav:
        if isinstance(section, dict) and "About" in section:
            section["About"] = [*section["About"], *there]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside docs/, and every file of the repository that a page links to."""
    for source, place in PAGES.items():
        if (ROOT / source).exists():
            files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
            _SOURCES[place] = source
    linked = {target for file in files.documentation_pages() for target in _targets(file)}
    for target in sorted(linked - set(PAGES)):
        if not target.startswith("docs/") and (ROOT / target).is_file():
            files.append(File.generated(config, f"files/{target}", content=(ROOT / target).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make links between files of the repository links between pages of the site."""
    here = page.file.src_uri

    def rewritten(link: re.Match[str]) -> str:
        place = _place_of(_in_repository(here, link[2]))
        return link[1] + posixpath.relpath(place, posixpath.dirname(here) or ".") + link[3]

    return _LINK.sub(rewritten, markdown)


def _targets(file: File) -> set[str]:
    return {_in_repository(file.src_uri, link[2]) for link in _LINK.finditer(file.content_string)}


def _in_repository(page: str, target: str) -> str:
    """Return the path from the repository's root of what a page of the site links to."""
    source = _SOURCES.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _place_of(path: str) -> str:
    """Return where a file of the repository is on the site."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"
