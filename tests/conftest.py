"""What many tests use: input files, model scripts, and the command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from support.browser import find_browser
from support.slurm_cluster import INSTALLED, NEWER, SlurmCluster, why_not

# How long an example takes on the wall's clock says nothing of candle where the machine does other things, too.
settings.register_profile("candle", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("candle")

IS_ONE_OF_SEVERAL = "PYTEST_XDIST_WORKER" in os.environ  # a process that runs tests beside others

Candle = Callable[..., "subprocess.CompletedProcess[str]"]
WriteInput = Callable[..., Path]

# `make coverage` looks at the commands that tests run, too.
ROOT = Path(__file__).parents[1]
COVERAGE = ["-m", "coverage", "run", f"--rcfile={ROOT / 'pyproject.toml'}", f"--data-file={ROOT / '.coverage'}"]
MEASURED = COVERAGE if os.environ.get("CANDLE_TESTS_COVERAGE") else []

# `make test` runs the quick tests of these folders first, and looks at what they reach: in each process that runs them,
# and not in what these start. Nothing of candle is imported so far.
MEASURED_PARTS = os.environ.get("CANDLE_TESTS_MEASURED", "").split()
REACH: Coverage | None = None
if IS_ONE_OF_SEVERAL and os.environ.get("CANDLE_TESTS_REACH"):
    REACH = Coverage(config_file=str(ROOT / "pyproject.toml"), data_suffix=True)
    REACH.start()

SUM_OF_SQUARES = "val_to_return = hyperparams['x'] ** 2 + hyperparams['y'] ** 2\n"


def input_text(control: str, default_model: str = "", param_space: str = "") -> str:
    """Return the text of an input file with these sections."""
    sections = {"control": control, "default_model": default_model, "param_space": param_space}
    return "".join(f"&{name}\n{textwrap.dedent(text).strip()}\n/\n" for name, text in sections.items())


@pytest.fixture(scope="session", autouse=True)
def one_thread_for_algebra() -> Iterator[None]:
    """Let tests of the search use as many threads as a search does: others would wait for each other on a busy CPU."""
    import numpy  # noqa: F401  # its library of algebra has to be there

    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder, where the test stands; its name is as unpleasant as a user's may be."""
    folder = tmp_path / "a folder's “name” $HOME"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write_input(here: Path) -> WriteInput:
    """Write `x.in` with its model script; what is not given is a grid of four sets that all work."""

    def write(
        script: str = SUM_OF_SQUARES,
        control: str = "",
        default_model: str = "y = 2",
        param_space: str = '{"x": 1}\n{"x": 3}\n{"x": 2}\n{"x": 4, "y": 0}',
        name: str = "x.in",
    ) -> Path:
        (here / "model.py").write_text(textwrap.dedent(script), encoding="utf-8")
        head = f'model_script="model.py"\nworkflow="grid"\n{textwrap.dedent(control).strip()}'
        path = here / name
        path.write_text(input_text(head, default_model, param_space), encoding="utf-8")
        return path

    return write


@pytest.fixture
def candle(here: Path) -> Candle:
    """Run the command line as a user does, where the test stands."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *MEASURED, "-m", "candle_hpo", *map(str, arguments)],
            cwd=here,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def slurm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A real SLURM cluster of four nodes with two pretend GPUs each, started once for each version of SLURM."""
    system = getattr(request, "param", INSTALLED)
    if lacking := why_not(system):
        pytest.skip(lacking)
    cluster = SlurmCluster(tmp_path_factory.mktemp("slurm"), system=system)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def on_cluster(candle: Candle, slurm: SlurmCluster) -> Candle:
    """Run the command line where SLURM is."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return candle(*arguments, **slurm.environment, **environment)

    return run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `newer_slurm` on both clusters."""
    if metafunc.definition.get_closest_marker("newer_slurm") and INSTALLED is None:
        metafunc.parametrize("slurm", [INSTALLED, NEWER], ids=["installed", "newer"], indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark whole systems and what uses the cluster, and skip what needs a browser where there is none."""
    no_browser = pytest.mark.skipif(find_browser() is None, reason="needs Chromium (Debian: apt-get install chromium)")
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent / "system"):
            item.add_marker("slow")
        if "slurm" in getattr(item, "fixturenames", ()):
            item.add_marker("slurm")
        if item.get_closest_marker("browser"):
            item.add_marker(no_browser)
        is_quick = not any(map(item.get_closest_marker, ("slow", "slurm", "browser")))
        if is_quick and item.path.relative_to(Path(__file__).parent).parts[0] in MEASURED_PARTS:
            item.add_marker("measured")
    yield
    # All on the newer SLURM together, as one of the clusters alone is there at a time.
    items.sort(key=_is_on_newer_slurm)
    if IS_ONE_OF_SEVERAL:
        _spread(items)


def _is_on_newer_slurm(item: pytest.Item) -> bool:
    """Return whether a test is one on the newer SLURM, of a pair."""
    return hasattr(item, "callspec") and item.callspec.params.get("slurm") == NEWER


def _spread(items: list[pytest.Item]) -> None:
    """Let files that mostly wait for a cluster be evenly among the others, so that these use the CPUs meanwhile.

    Those with many slow tests are the first, so that none of them is left over when all others have ended.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    files = sorted(dict.fromkeys(item.path for item in items), key=lambda file: -slow[file])
    waiting = [file for file in files if file.parent.name == "slurm"]
    groups = waiting, [file for file in files if file not in waiting]
    places = {file: (number + 0.5) / len(group) for group in groups for number, file in enumerate(group)}
    items.sort(key=lambda item: places[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where nothing may be missing (`CANDLE_TESTS_SKIP_NOTHING`, as in CI), make a skipped test a failed one."""
    report = yield
    if os.environ.get("CANDLE_TESTS_SKIP_NOTHING") and report.skipped and not hasattr(report, "wasxfail"):  # type: ignore[attr-defined]
        report.outcome = "failed"  # type: ignore[attr-defined]
    return report


def pytest_sessionfinish() -> None:
    """Write what the tests have reached; a process that takes long to end is killed."""
    if REACH:
        REACH.stop()
        REACH.save()


def gone(*pids: int) -> bool:
    """Wait for processes to be gone, or zombies that nobody reaps; at most two minutes, for machines are busy."""
    deadline = time.monotonic() + 120
    while any(map(_runs, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
