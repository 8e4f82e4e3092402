"""Putting new lines into a section of an input file, leaving every other byte as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.files import replacing
from candle_hpo.inputfile.sections import Findings, closes_a_section, read_text, split_sections


def replace_section(path: Path, name: str, lines: Iterable[str]) -> Path | None:
    """Put `lines` (without their ends) in place of those of a section; add the section where there is none.

    The file is replaced at once, when all lines are written. Returns the copy of the earlier file that is
    kept beside it, or None where the section held nothing. Raises `InputError` where the file is not
    well formed, `MachineError` where it cannot be written.
    """
    file = str(path)
    text = read_text(path, file)
    findings = Findings(file)
    sections = split_sections(text, findings)
    if findings.problems:
        raise InputError(*findings.in_order())
    kept = text.split("\n")
    if name in sections:
        # The section's last line is its "/": the first such line after the header.
        start = sections[name].header
        end = next(at for at in range(start, len(kept)) if closes_a_section(kept[at].strip()))
        before, after = kept[:start], kept[end:]
    else:
        before, after = [*kept, f"&{name}"], ["/", ""]
    try:
        backup = _backup(path) if name in sections and sections[name].lines else None
        _write(path, before, lines, after)
    except OSError as error:
        raise MachineError(f"{file} cannot be written: {error.strerror}; it is as it was") from None
    return backup


def _backup(path: Path) -> Path:
    number = 1
    while (backup := path.with_name(f"{path.name}.bak{number}")).exists():
        number += 1
    shutil.copy2(path, backup)
    return backup


def _write(path: Path, before: list[str], lines: Iterable[str], after: list[str]) -> None:
    mode = path.stat().st_mode
    with replacing(path, behind_link=True) as output:
        output.writelines(f"{line}\n".encode() for line in before)
        output.writelines(f"  {line}\n".encode() for line in lines)
        output.write("\n".join(after).encode())
    path.chmod(mode)
