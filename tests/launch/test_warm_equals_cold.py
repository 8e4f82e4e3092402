"""A package that looks at its trial when it is imported: each trial has its own answer, warm as cold."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import warm_libraries
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.trial import Outcome
from support.warm_trials import Trials

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="warm start is for Linux")]

# Of each package: what it does when it is imported, the script, and whether the trials' values have to differ.
LOOKS = {
    "the command line": (
        "import argparse\np = argparse.ArgumentParser(); p.add_argument('--x', type=float)\na = p.parse_args()",
        "from lab import a; print('loss:', a.x)",
        True,
    ),
    "the command line, in a default argument": (
        "import argparse, sys\n"
        "def parse(args=sys.argv[1:]):\n"
        "    p = argparse.ArgumentParser(); p.add_argument('--x', type=float, default=.5)\n"
        "    return p.parse_args(args)",
        "from lab import parse; print('loss:', parse().x)",
        True,
    ),
    "the folder": (
        "import os; CKPT = os.path.abspath('checkpoint.json')",
        "import json, os, sys\nfrom lab import CKPT\n"
        "value = json.load(open(CKPT)) if os.path.exists(CKPT) else 10.0\n"
        "for _ in range(5): value *= {'1': .5, '2': .9, '3': 1}[sys.argv[2]]\n"
        "json.dump(value, open(CKPT, 'w')); print('loss:', value)",
        True,
    ),
    "a generator of a class of the script": (
        "import random\nclass S(random.Random): pass\ns = S()",
        "import lab; print('loss:', lab.s.random())",
        True,
    ),
    "NumPy's generator": (
        "import numpy; numpy.random.randn(1)",
        "import numpy, lab; print('loss:', numpy.random.randn())",
        True,
    ),
    "NumPy's generator, with a seed": (
        "import numpy; numpy.random.seed(5); numpy.random.randn(1)",
        "import numpy, lab; print('loss:', numpy.random.randn())",
        False,
    ),
    "PyTorch's generator": (
        "import torch; torch.rand(1)",
        "import torch, lab; print('loss:', torch.rand(1).item())",
        True,
    ),
    "PyTorch's generator, with a seed": (
        "import torch; torch.manual_seed(7)",
        "import torch, lab; print('loss:', torch.rand(1).item())",
        False,
    ),
    "the environment": (
        "import os; ENV = dict(os.environ)",
        "import lab; print('loss:', float(lab.ENV.get('CANDLE_SEED', 0)))",
        True,
    ),
    "the clock": ("import time; BEGAN = time.time_ns()", "import lab; print('loss:', lab.BEGAN % 10**9)", True),
    "the process": ("import os; ME = os.getpid()", "import lab, os; print('loss:', lab.ME - os.getpid())", False),
    "a name drawn": ("import uuid; RUN = uuid.uuid4().int % 10**9", "import lab; print('loss:', lab.RUN)", True),
    "a folder for temporary files": (
        "import tempfile, os, atexit, shutil\nTMP = tempfile.mkdtemp(); atexit.register(shutil.rmtree, TMP)",
        "import lab, os; os.mkdir(os.path.join(lab.TMP, 'a')); print('loss:', len(os.listdir(lab.TMP)))",
        False,
    ),
    "the main module": (
        "import __main__; HP = __main__.__dict__.get('hyperparams', {}).get('x', -1)",
        "import lab; print('loss:', lab.HP)",
        True,
    ),
    "the hyperparameters' file": (
        "import json, os; HP = json.load(open(os.environ['CANDLE_PARAMS_FILE']))",
        "import lab; print('loss:', lab.HP['x'])",
        True,
    ),
    "threads that it sets": (
        "import os; os.environ['OMP_NUM_THREADS'] = '1'; import torch",
        "import lab, torch; print('loss:', torch.get_num_threads())",
        False,
    ),
}


def three(here: Path, name: str, lab: str, script: str, preload: tuple[str, ...]) -> list[tuple[float, str]]:
    """Return the values of three trials, and what each printed."""
    trials = Trials(
        here, name, script, preload=preload, hyperparams_as="arguments", result_pattern=r"loss: (\S+)", nthreads=2
    )
    (trials.installed / "lab.py").write_text(lab)
    found = []
    for x in (1, 2, 3):
        outcome: Outcome = trials.run(x=x)
        value = outcome.value_of(THE_VALUE)
        assert value is not None, (outcome.reason, trials.output)
        found.append((value, trials.output))
    trials.host.close()
    return found


@pytest.mark.parametrize("what", LOOKS)
def test_each_trial_has_its_own_answer(here: Path, what: str) -> None:
    lab, script, differs = LOOKS[what]
    cold = three(here, "cold", lab, script, ("none",))
    warm = three(here, "warm", lab, script, ())
    for found in (cold, warm):
        assert len({value for value, _ in found}) == (3 if differs else 1), found
    if what in ("the command line", "the command line, in a default argument", "the main module"):
        assert [value for value, _ in warm] == [1, 2, 3]
    if what == "the folder":
        assert [value for value, _ in warm] == [0.3125, pytest.approx(5.9049), 10]
    if not differs:
        assert warm == cold


@pytest.mark.parametrize(
    ("suffix", "compiler", "library", "prints"),
    [
        (
            ".cpp",
            ["c++"],
            '#include <iostream>\nextern "C" void run(int x) {{ for (int i = 1; i <= 500; i++) {} }}',
            "C++",
        ),
        (
            ".f90",
            ["gfortran"],
            "subroutine run(x) bind(C)\n use iso_c_binding\n integer(c_int), value :: x\n{}\nend",
            "F",
        ),
        (".c", ["cc"], "#include <stdio.h>\nvoid run(int x) {{ for (int i = 1; i <= 500; i++) {} }}", "C"),
    ],
)
@pytest.mark.parametrize("preload", [(), ("lab",)])
def test_all_that_a_library_in_another_language_prints_is_there(
    here: Path, suffix: str, compiler: list[str], library: str, prints: str, preload: tuple[str, ...]
) -> None:
    """It is flushed at the end of the process, by what the language's own library has registered for that."""
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"needs {compiler[0]} (Debian: apt-get install g++ gfortran)")
    body = {
        "C++": 'std::cout << "loss: " << x * 1000 + i << "\\n";',
        "C": 'printf("loss: %d\\n", x * 1000 + i);',
        "F": ' integer :: i\n do i = 1, 500\n  print *, "loss:", x * 1000 + i\n end do',
    }[prints]
    source, built = here / f"lib{suffix}", here / "lib.so"
    source.write_text(library.format(body))
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", str(built), str(source)], check=True, cwd=here)
    lab = f"import ctypes; library = ctypes.CDLL({str(built)!r})\nlibrary.run.argtypes = [ctypes.c_int]"
    script = "import sys, numpy, lab; lab.library.run(int(sys.argv[2]))"
    trials = Trials(here, "warm", script, preload=preload, hyperparams_as="arguments", result_pattern=r"loss:\s*(\S+)")
    (trials.installed / "lab.py").write_text(lab)
    for x in (1, 2):
        outcome = trials.run(x=x)
        assert (outcome.value_of(THE_VALUE), trials.output.count("loss:")) == (x * 1000 + 500, 500), trials.output[
            -200:
        ]
    trials.host.close()


def test_a_file_that_a_library_holds_is_whole(here: Path) -> None:
    """HDF5 writes what it holds when the process ends, and so does what is opened in C without being closed."""
    lab = "import ctypes, functools\nC = ctypes.CDLL(None)\nC.fopen.restype = ctypes.c_void_p\nC.fputs.argtypes = "
    lab += (
        "[ctypes.c_char_p, ctypes.c_void_p]\n@functools.lru_cache(None)\ndef store(): return C.fopen(b'r.txt', b'w')\n"
    )
    trials = Trials(
        here, "warm", "import lab; lab.C.fputs(b'x' * 1000, lab.store()); val_to_return = 1", preload=("lab",)
    )
    (trials.installed / "lab.py").write_text(lab)
    for _ in range(2):
        assert trials.run().value_of(THE_VALUE) == 1
        assert (trials.folder / "r.txt").read_text() == "x" * 1000
    trials.host.close()


def test_processes_that_multiprocessing_spawns_send_back_what_the_script_defines(here: Path) -> None:
    """Also where a library has imported multiprocessing beforehand."""
    script = """
        import sklearn.ensemble
        import multiprocessing
        class Answer:
            def __init__(self, x): self.x = x
        def ask(x): return Answer(x * hyperparams["x"])
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                val_to_return = sum(answer.x for answer in pool.map(ask, [1, 2]))
    """
    trials = Trials(here, "warm", script, trial_timeout=60)
    assert [trials.run(x=x).value_of(THE_VALUE) for x in (1, 2)] == [3, 6], trials.output
    trials.host.close()


# Those that most scripts have; with all that is here it takes minutes.
COMPARED = (
    "numpy", "scipy", "pandas", "pyarrow", "sklearn", "joblib", "torch", "matplotlib", "PIL", "networkx", "sympy",
    "absl", "click", "fire", "typer", "tyro", "rich", "tqdm", "yaml", "jinja2",
)  # fmt: skip


def test_the_libraries_that_are_here_behave_the_same(tmp_path: Path) -> None:
    """All at once; one by one, and more of them, `make libraries` compares them."""
    there = json.loads(
        subprocess.run(
            [sys.executable, str(Path(warm_libraries.__file__)), sys.executable, "--all-at-once", *COMPARED],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert {"numpy", "scipy", "pandas", "pyarrow", "sklearn", "torch", "matplotlib"} <= set(there["modules"])
    assert there["left"] == []
    assert there["differences"] == []
    assert there["places"] > 100_000
