"""What the documentation says is true: references are generated, commands are described, tutorials run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import command_reference
import contract_reference
import keyword_reference
import run_tutorial
from candle_hpo.cli import app
from candle_hpo.core.experiment import Settings
from candle_hpo.inputfile.keywords import BY_NAME, KEYWORDS

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_setting_has_a_keyword_and_the_other_way_round() -> None:
    assert [keyword.name for keyword in KEYWORDS] == [field.name for field in msgspec.structs.fields(Settings)]
    assert len(BY_NAME) == len(KEYWORDS) + sum(keyword.also is not None for keyword in KEYWORDS)


@pytest.mark.parametrize("made", [keyword_reference, command_reference, contract_reference], ids=lambda m: m.__name__)
def test_the_generated_pages_are_up_to_date(made: ModuleType) -> None:
    assert made.PAGE.read_text() == made.reference(), "run `make docs`"


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    for command in app.registered_commands:
        assert f"`candle {command.name}" in text or command.hidden


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tutorial_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The commands of docs/tutorial.md, which `make exercise` runs, with PyTorch."""
    assert run_tutorial.run_tutorial(tmp_path) == 0, capfd.readouterr().out
    out = capfd.readouterr().out
    assert "{'batch_size': 128, 'epochs': 2, 'no_cuda': False}" in out
    assert "25 trials: 25 completed" in out
    lines = (tmp_path / "candle_generated_files" / "candle_results.csv").read_text().splitlines()
    assert lines[0] == "result,dirname,id,epochs,batch_size,status,seconds,attempts"
    values = [float(line.split(",")[0]) for line in lines[1:]]
    assert len(values) == 25
    assert values == sorted(values)
    # As with the original on MNIST: more epochs and smaller batches are better.
    assert lines[1].split(",")[3:5] == ["10", "64"]
    assert lines[-1].split(",")[3:5] == ["2", "1024"]
    assert (tmp_path / "last-candle-job" / "run" / "hpset_00001" / "results" / "sample_2.png").exists()


def test_the_site_is_built_with_every_link_leading_somewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 15
    elsewhere = r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?https?:|<link[^>]*\shref=["']?https?://[^>]*>"""
    for page in pages:
        assert not re.findall(elsewhere, page.read_text()), page
