"""Words that puzzle readers, with what to write instead: none of them is in code, messages, pages or tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXTS = {".py", ".R", ".sh", ".js", ".css", ".html", ".toml", ".in", ".md", ".yml", ".txt"}
FOLDERS = ("src", "docs", "tests", "tools", "benchmarks")
OTHERS = re.compile(r"tests/support/data/|tests/test_words\.py$")  # data, this list, made of `core`

BETTER = {
    r"told": "reported, said, distinguished",
    r"tells": "says, shows, reports",
    r"telling": "saying, distinguishing",
    r"(?<![.`_])tell(?![`(_])": "return, say, report, show",
    r"(take|takes|taking|taken|took) in(?! the last)": "record, observe, add",
    r"anew|once more": "again; restart",
    r"(go|goes|going|went) on": "continue, resume",
    r"mend|mends|mended|mending": "fix",
    r"mistake of candle's": "internal error",
    r"machine('s)? (has |had )?refuse[sd]?": "system error; the batch system rejected the job",
    r"(leave|leaves|left) (\S+ ){0,2}away": "omit",
    r"there twice": "appears twice",
    r"(?<!there )(is|are) no (?!longer)[a-z]\w*": "is not a …",
    r"at the (most|least)": "at most, at least",
    r"want of": "out of memory, lack of",
    r"(take|takes|taking|took) (no )?part": "is active, is inactive",
    r"of (its|their|your|our) own(?= ?[^\w ]| (with|for|in|on|and|or|at|to|that|where|which|is|as)\b|$)": "its own …",
    r"default model": "default hyperparameters, &default_model",
    r"how it is:": "Status:",
    r"never begun": "never started",
}
LISTED = [
    (re.compile(rf"\b(?:{words})\b".replace(" ", r"\s"), re.IGNORECASE | re.MULTILINE), better)
    for words, better in BETTER.items()
]
FUNCTION_NAME = re.compile(r"\bdef \w+")
SECTION = "default_model"  # of an input file
LINE_BREAK = re.compile(r"\n[ \t]*(?:(?:#|//)[ \t]*)?")  # with what a comment begins with


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file that people read."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS]
    for path in [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml", *paths]:
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and not OTHERS.match(name):
            yield name, path.read_text(encoding="utf-8")


def puzzling(name: str, text: str) -> list[str]:
    """Return each place of a text where a listed word is, with what to write instead."""
    named = FUNCTION_NAME.sub(lambda name: name[0].replace("_", " ").replace("default model", SECTION), text)
    flat = LINE_BREAK.sub("\n", named)
    return [
        f'{name}:{flat.count(chr(10), 0, found.start()) + 1}: "{" ".join(found[0].split())}"; write: {better}'
        for pattern, better in LISTED
        for found in pattern.finditer(flat)
    ]


def test_no_text_has_a_listed_word() -> None:
    """Each is named with its file and line, and with what to write instead."""
    found = [place for name, text in texts() for place in puzzling(name, text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("It is Told.", "Told"),
        ("this is no record", "is no record"),
        ("a folder of its own", "of its own"),
        ("Tell whether it runs", "Tell"),
        ("def test_what_is_no_file():", "is no file"),
        ("# as it goes\n    # on", "goes on"),
    ],
)
def test_a_listed_word_is_found_with_place(text: str, word: str) -> None:
    """In capitals, too."""
    assert puzzling("a.md", f"Well.\n{text}")[0].startswith(f'a.md:2: "{word}"; write: ')


@pytest.mark.parametrize(
    "text", ["there is no record", "study.tell(trial, 1.0)", "it is no longer there", "of its own accord", "amend it"]
)
def test_good_english_is_left_alone(text: str) -> None:
    """A method of a library is not prose."""
    assert puzzling("a.md", text) == []
