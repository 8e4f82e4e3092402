from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.inputfile.edit import replace_section

TEXT = "# mine\n&control\n  a=1   # kept\n/\n\n  &Param_Space # also kept\n  {1}\n  {2}\n  / # end\n# tail"


def test_only_the_sections_lines_change(here: Path) -> None:
    path = here / "x.in"
    path.write_text(TEXT)
    path.chmod(0o640)
    backup = replace_section(path, "param_space", ["{3}"])
    assert path.read_text() == TEXT.replace("  {1}\n  {2}\n", "  {3}\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert backup == here / "x.in.bak1"
    assert backup.read_text() == TEXT


def test_no_earlier_copy_is_overwritten(here: Path) -> None:
    path = here / "x.in"
    path.write_text(TEXT)
    (here / "x.in.bak1").write_text("precious")
    assert replace_section(path, "param_space", ["{3}"]) == here / "x.in.bak2"
    assert (here / "x.in.bak1").read_text() == "precious"


def test_an_empty_section_needs_no_copy_and_a_missing_one_is_added(here: Path) -> None:
    path = here / "x.in"
    path.write_text("&param_space\n/\n")
    assert replace_section(path, "param_space", ["{3}"]) is None
    assert path.read_text() == "&param_space\n  {3}\n/\n"
    path.write_text("&control\n/\n")
    assert replace_section(path, "param_space", ["{3}"]) is None
    assert path.read_text() == "&control\n/\n\n&param_space\n  {3}\n/\n"


def test_a_link_stays_a_link(here: Path) -> None:
    (here / "real.in").write_text("&param_space\n/\n")
    (here / "x.in").symlink_to("real.in")
    replace_section(here / "x.in", "param_space", ["{3}"])
    assert (here / "x.in").is_symlink()
    assert "{3}" in (here / "real.in").read_text()


def test_a_file_that_is_not_well_formed_stays_as_it_is(here: Path) -> None:
    path = here / "x.in"
    path.write_text("&param_space\n{1}\n")
    with pytest.raises(InputError, match="is not closed"):
        replace_section(path, "param_space", ["{3}"])
    assert path.read_text() == "&param_space\n{1}\n"
    with pytest.raises(InputError, match="there is no such file"):
        replace_section(here / "gone.in", "param_space", [])


def test_lines_that_fail_half_way_leave_the_file_as_it_is(here: Path) -> None:
    path = here / "x.in"
    path.write_text("&param_space\n/\n")

    def failing() -> object:
        yield "{3}"
        raise OSError(28, "No space left on device")

    with pytest.raises(MachineError, match="No space left on device; it is as it was"):
        replace_section(path, "param_space", failing())  # type: ignore[arg-type]
    assert path.read_text() == "&param_space\n/\n"
    assert [entry.name for entry in here.iterdir()] == ["x.in"]
