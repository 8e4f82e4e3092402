"""Environment modules around the model, with the real Lmod: loaded once, for the model alone."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from conftest import Candle, WriteInput

LMOD = Path("/usr/share/lmod/lmod/init/bash")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LMOD.exists(), reason="Lmod is not installed (Debian: apt-get install lmod)"),
]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two modules: one with its own Python, one that sets a variable to something odd."""
    folder = tmp_path / "modulefiles"  # Lmod itself takes no quotes in paths and values
    (folder / "mypython").mkdir(parents=True)
    (folder / "odd").mkdir()
    (tmp_path / "python_of_module").mkdir()
    (tmp_path / "python_of_module" / "python3").symlink_to(sys.executable)
    (folder / "mypython" / "3.lua").write_text(f'prepend_path("PATH", [==[{tmp_path}/python_of_module]==])\n')
    (folder / "odd" / "1.lua").write_text('setenv("ODD", "a b=$HOME")\nprepend_path("PYTHONPATH", "/from/module")\n')
    monkeypatch.setenv("MODULEPATH", str(folder))
    return folder


def test_modules_are_around_the_model_and_not_around_us(
    write_input: WriteInput, candle: Candle, modules: Path, here: Path
) -> None:
    script = """
        import os, sys
        assert os.environ["ODD"] == "a b=$HOME", os.environ["ODD"]
        assert sys.executable.endswith("python_of_module/python3"), sys.executable
        assert os.environ["PYTHONPATH"].startswith("/from/module"), os.environ["PYTHONPATH"]
        assert os.environ["PYTHONPATH"].endswith("/more"), os.environ["PYTHONPATH"]
        val_to_return = 1
    """
    (here / "more").mkdir()
    path = write_input(script, 'exec_python_module=mypython/3\nsupp_modules="odd"\nsupp_pythonpath=more')
    done = candle("submit-job", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"({modules.parent}/python_of_module/python3)" in done.stdout
    assert "4 trials: 4 completed" in done.stdout


def test_modules_whose_command_is_in_a_bash_env_that_prints(
    write_input: WriteInput, candle: Candle, modules: Path, here: Path
) -> None:
    """Its output was taken for a part of the first variable, which the model then did not have."""
    (here / "profile").write_text(f"echo SHELL=noise\n. {LMOD}\n")
    script = """
        import os
        assert os.environ["ODD"] == "a b=$HOME", os.environ["ODD"]
        assert os.environ["BASH_ENV"].endswith("/profile"), os.environ["BASH_ENV"]
        assert not [name for name in os.environ if "noise" in name + os.environ[name] or "OWN" in name]
        val_to_return = 1
    """
    path = write_input(script, 'supp_modules="odd"')
    done = candle("submit-job", path, BASH_ENV=str(here / "profile"), LMOD_PKG="/nowhere", MODULESHOME="/nowhere")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 trials: 4 completed" in done.stdout


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="there is no R (Debian: apt-get install r-base-core)")
def test_r_from_a_module(write_input: WriteInput, candle: Candle, modules: Path, here: Path) -> None:
    (modules / "myr").mkdir()
    (modules.parent / "r_of_module").mkdir()
    (modules.parent / "r_of_module" / "Rscript").symlink_to(str(shutil.which("Rscript")))
    (modules / "myr" / "4.lua").write_text(
        f'prepend_path("PATH", [==[{modules.parent}/r_of_module]==])\nsetenv("FROM_MODULE", "5")\n'
    )
    path = write_input(control="exec_r_module=myr")
    (here / "model.R").write_text("val_to_return <- as.numeric(Sys.getenv('FROM_MODULE')) + hyperparams$x")
    path.write_text(path.read_text().replace("model.py", "model.R"))
    done = candle("submit-job", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"({modules.parent}/r_of_module/Rscript)" in done.stdout
    assert "best (minimize): 6 by hpset_00001" in done.stdout


@pytest.mark.parametrize("name", ["no_such_module", "odd/7"])
def test_a_module_that_is_not_there(
    write_input: WriteInput, candle: Candle, modules: Path, here: Path, name: str
) -> None:
    done = candle("submit-job", write_input(control=f"supp_modules={name}"))
    assert done.returncode == 3
    assert f"the modules {name} cannot be loaded:" in done.stderr
    assert "unknown" in done.stderr
    assert not (here / "last-candle-job").exists()


def test_a_machine_without_modules(write_input: WriteInput, candle: Candle) -> None:
    path = write_input(control="supp_modules=odd")
    done = candle("submit-job", path, LMOD_PKG="/nowhere", MODULESHOME="/nowhere", PATH=os.environ["PATH"])
    if Path("/etc/profile.d/lmod.sh").exists() or Path("/etc/profile.d/modules.sh").exists():
        assert "the modules odd cannot be loaded" in done.stderr
    else:
        assert "there is no module command on this machine" in done.stderr
    assert done.returncode == 3


ENVIRONMENT_MODULES = os.environ.get("CANDLE_TESTS_ENVIRONMENT_MODULES", "")


@pytest.mark.skipif(
    not ENVIRONMENT_MODULES,
    reason="Environment Modules are not unpacked (CANDLE_TESTS_ENVIRONMENT_MODULES names the folder, as in .ci/run)",
)
def test_environment_modules_do_as_well(
    write_input: WriteInput, candle: Candle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other program of this kind, written in Tcl, which Debian does not install beside Lmod: only unpacked."""
    root = Path(ENVIRONMENT_MODULES)
    (command,) = root.glob("usr/lib/*/modulecmd.tcl")
    text = (root / "usr/share/modules/init/bash").read_text().replace(f"/{command.relative_to(root)}", str(command))
    (tmp_path / "home" / "init").mkdir(parents=True)
    (tmp_path / "home" / "init" / "bash").write_text(text)
    (tmp_path / "files" / "mypython").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    (tmp_path / "files" / "mypython" / "3").write_text(
        f'#%Module\nprepend-path PATH {tmp_path}/bin\nsetenv ODD "a b=c"\n'
    )
    monkeypatch.setenv("MODULESHOME", str(tmp_path / "home"))
    monkeypatch.setenv("LMOD_PKG", "/nowhere")
    monkeypatch.setenv("MODULEPATH", str(tmp_path / "files"))
    script = 'import os, sys; assert os.environ["ODD"] == "a b=c"; val_to_return = 1'
    done = candle("submit-job", write_input(script, "exec_python_module=mypython/3"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"({tmp_path}/bin/python3)" in done.stdout
    done = candle("submit-job", write_input(script, "exec_python_module=nothing/3"))
    assert (done.returncode, "cannot be loaded" in done.stderr, "nothing/3" in done.stderr) == (3, True, True)
