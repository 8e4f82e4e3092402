"""The reason of a failure in an output: the last error, in the form of each language, and its place in a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candle_hpo.core.trial import Status
from candle_hpo.launch.measuring.error_text import explaining_lines, last_error, last_words
from candle_hpo.launch.measuring.result import outcome_of
from candle_hpo.process.group import Ended

LIBRARY = "/opt/venv/lib/python3.11/site-packages/torch"


def said(output: str, *, with_errors: bool = True) -> str:
    lines = [line.rstrip() for line in output.split("\n") if line.strip()]
    return " / ".join(last_words(lines, with_errors=with_errors))


def printed_by(script: str, here: Path) -> str:
    (here / "model.py").write_text(textwrap.dedent(script))
    command = [sys.executable, "model.py"]
    return subprocess.run(command, cwd=here, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import json\njson.loads('{')", "json.decoder.JSONDecodeError: Expecting property name enclosed in double"),
        ("def f():\n    raise ValueError('broken')\nf()", "ValueError: broken (model.py, line 2)"),
        ("raise ValueError", "ValueError (model.py, line 1)"),
        ("x = (1,\n", "SyntaxError: '(' was never closed (model.py, line 1)"),
        ("def f():\n    f()\nf()", "RecursionError: maximum recursion depth exceeded (model.py, line 2)"),
        ("raise ValueError('first:\\nsecond\\nthird')", "ValueError: first (model.py, line 1) / third"),
        ("class Odd(Exception): pass\nraise Odd('one')", "Odd: one (model.py, line 2)"),
        (
            "try:\n    {}['x']\nexcept KeyError as error:\n    raise RuntimeError('no x') from error",
            "RuntimeError: no x (model.py, line 4)",
        ),
        (
            "error = ValueError('broken')\nerror.add_note('in the third file')\nraise error",
            "ValueError: broken (model.py, line 3) / in the third file",
        ),
        (
            "def f(x):\n    raise ValueError(x)\nfound = []\nfor x in 'ab':\n    try:\n        f(x)\n"
            "    except ValueError as error:\n        found.append(error)\nraise ExceptionGroup('many', found)",
            "ExceptionGroup: many (2 sub-exceptions): ValueError: a (model.py, line 2)",
        ),
        (
            "raise ExceptionGroup('all', [ExceptionGroup('some', [TypeError('odd')]), KeyError('x')])",
            "ExceptionGroup: all (2 sub-exceptions): ExceptionGroup: some (1 sub-exception) (model.py, line 1)",
        ),
        (
            "import multiprocessing\ndef f(x):\n    raise ValueError('in a worker')\n"
            "if __name__ == '__main__':\n    multiprocessing.Pool(1).map(f, [1])",
            "ValueError: in a worker (model.py, line 3)",
        ),
        (
            "import subprocess, sys\n"
            "subprocess.run([sys.executable, '-c', 'raise ValueError(3)'], check=True)",
            "ValueError: 3 / subprocess.CalledProcessError: Command",
        ),
        (
            "import subprocess\ntry:\n    subprocess.run('echo Error: no mesh >&2; exit 7', shell=True, check=True)\n"
            "except subprocess.CalledProcessError as error:\n    raise",
            "Error: no mesh / subprocess.CalledProcessError: Command",
        ),
        (
            "import subprocess, traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"
            "subprocess.run('seq 4 >&2; echo no mesh >&2; exit 7', shell=True, check=True)",
            "no mesh / subprocess.CalledProcessError: Command",
        ),
        (
            "import subprocess\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    subprocess.run('false', check=True)",
            "ZeroDivisionError: division by zero (model.py, line 3) / subprocess.CalledProcessError: Command",
        ),
        ("import sys\nsys.exit('no data for this set')", "no data for this set"),
        (
            "import sys, traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"
            "sys.exit('no data')",
            "ZeroDivisionError: division by zero (model.py, line 3) / no data",
        ),
    ],
)  # fmt: skip
def test_what_python_prints_of_an_exception(script: str, expected: str, here: Path) -> None:
    found = said(printed_by(script, here))
    assert found.startswith(expected) and (found == expected or not expected.endswith(")")), found


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (Debian: apt-get install r-base-core)")
def test_what_r_prints_of_an_error(here: Path) -> None:
    (here / "model.R").write_text("f <- function() stop('first\\nsecond')\ng <- function() f()\ng()\n")
    command = ["Rscript", "model.R"]
    printed = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False).stderr
    assert said(printed) == "Error in f() : first / second"


SHAPES = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x784 and 512x10)"
FRAMES = f"""\
Traceback (most recent call last):
  File "/home/me/train.py", line 40, in <module>
    main()
  File "{LIBRARY}/nn/modules/module.py", line 1553, in _call
    return forward_call(*args, **kwargs)
{SHAPES}
"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/home/me/train.py", line 12, in <module>
  | ExceptionGroup: many (3 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/home/me/train.py", line 2, in f
    | ValueError: a
    +---------------- 2 ----------------
    | TypeError: plain
    +------------------------------------
"""
TORCHRUN = f"""\
{FRAMES}E1126 09:45:32.075000 23391 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: 1)
Traceback (most recent call last):
  File "/opt/venv/bin/torchrun", line 8, in <module>
    sys.exit(main())
  File "{LIBRARY}/distributed/launcher/api.py", line 383, in launch_agent
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
Failures:
[1]:
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 24334)  (SIGTERM)
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  rank      : 1 (local_rank: 1)
  exitcode  : 1 (pid: 24339)
============================================================
"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (FRAMES, f"{SHAPES} (train.py, line 40)"),
        (f"{FRAMES}wandb: synced 5 files", f"{SHAPES} (train.py, line 40) / wandb: synced 5 files"),
        (TORCHRUN, f"{SHAPES} (train.py, line 40)"),
        (TORCHRUN.replace("exitcode  : 1 (", "exitcode  : -9 ("), "ChildFailedError: exitcode  : -9 (pid: 24339)"),
        (TORCHRUN.removeprefix(FRAMES), "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"),
        (TORCHRUN.replace(FRAMES, "no data\n"), "no data"),
        (TORCHRUN.replace(FRAMES, f"{FRAMES}no data\n"), f"{SHAPES} (train.py, line 40) / no data"),
        ("".join(f"[rank1]: {line}\n" for line in FRAMES.splitlines()), f"{SHAPES} (train.py, line 40)"),
        (
            '  File "/home/me/train.py", line 3\n    x = = 1\n        ^\nSyntaxError: invalid syntax',
            "SyntaxError: invalid syntax (train.py, line 3)",
        ),
        (  # cut off where it begins
            '  File "/home/me/train.py", line 9, in f\n    g()\nValueError: late',
            "ValueError: late (train.py, line 9)",
        ),
        (FRAMES.replace(SHAPES, "epoch 3 of 5"), "epoch 3 of 5"),
        (
            "╭───── Traceback (most recent call last) ─────╮\n│ /home/me/train.py:5 in main    │\n"
            f"│ ❱ 5 │   load()   │\n│ {LIBRARY}/x.py:7 in load │\n╰─────────────╯\nValueError: bad value",
            "ValueError: bad value (train.py, line 5)",
        ),
        ("Error: 0.25\nepoch 3", "epoch 3"),  # a measure, of no R script
        ("Error in `f()`:\n! `x` must be a number.\nBacktrace:\n 1. global f()\nExecution halted",
         "Error in `f()`: ! `x` must be a number. /  1. global f()"),
        ("Error in readRDS(a_long_name) :\n  cannot open the connection\nCalls: f -> readRDS\nExecution halted",
         "Error in readRDS(a_long_name) : cannot open the connection"),
        ("Calls (the last one failed):\n  model.R:4: f(3)\n  model.R:2: stop()\nError in f(3) : no\nExecution halted",
         "Error in f(3) : no (model.R, line 2)"),
        ("model.sh: line 3: sort: command not found", "model.sh: line 3: sort: command not found"),
        ("terminate called after throwing an instance of 'std::runtime_error'\n  what():  bad\n"
         "model.sh: line 4: 20819 Aborted                 ./model",
         "terminate called after throwing an instance of 'std::runtime_error': what():  bad / "
         "model.sh: line 4: 20819 Aborted                 ./model"),
        ("start\nterminate called after throwing an instance of 'int'",
         "terminate called after throwing an instance of 'int'"),
        ("libc++abi: terminating due to uncaught exception of type E: bad\nmodel.sh: line 4: Aborted",
         "libc++abi: terminating due to uncaught exception of type E: bad / model.sh: line 4: Aborted"),
        ("At line 5 of file model.f90 (unit = 10)\nFortran runtime error: Cannot open file 'x.dat': No such file\n"
         "Error termination. Backtrace:\n#0  0x7ff4436218c2 in ???\n#1  0x55c189bf9262 in x\n\tat /home/me/model.f90:5",
         "Fortran runtime error: Cannot open file 'x.dat': No such file (model.f90, line 5)"),
        ("ERROR STOP diverged\nError termination. Backtrace:\n#0  0x7ff4436218c2 in ???\n#1  0x55c189bf9262 in x\n"
         "\tat /home/me/model.f90:4\n#2  0x55c in main\n\tat /home/me/model.f90:9",
         "ERROR STOP diverged (model.f90, line 4)"),
        ("forrtl: severe (24): end-of-file during read, unit 10\nImage   PC     Routine",
         "forrtl: severe (24): end-of-file during read, unit 10"),
        ('Exception in thread "main" java.lang.RuntimeException: bad value\n\tat M.f(M.java:1)\n\tat M.main(M.java:3)\n'
         'Caused by: java.lang.NumberFormatException: For input string: "x"\n'
         "\tat java.base/java.lang.Integer.parseInt(Integer.java:668)\n\tat M.f(M.java:2)\n\t... 1 more",
         'Exception in thread "main" java.lang.RuntimeException: bad value / '
         'Caused by: java.lang.NumberFormatException: For input string: "x" (M.java, line 2)'),
        ("ERROR: LoadError: DomainError with -1.0:\nStacktrace:\n [1] sqrt(x::Float64)\n   @ Base.Math ./math.jl:33\n"
         " [2] f(x::Float64)\n   @ Main /home/me/model.jl:3\n [3] top-level scope\n   @ /home/me/model.jl:5\n"
         "in expression starting at /home/me/model.jl:5",
         "ERROR: LoadError: DomainError with -1.0: (model.jl, line 3)"),
        ("thread 'main' panicked at src/main.rs:2:19:\nindex out of bounds\n"
         "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
         "thread 'main' panicked at src/main.rs:2:19: index out of bounds (main.rs, line 2)"),
        ("loss 3\ncandle: there is no hyperparameter", "loss 3 / candle: there is no hyperparameter"),
        (f"{FRAMES}candle: set -e ended the script, at or after: python3 train.py", f"{SHAPES} (train.py, line 40)"),
        ("ready\ncandle: set -e ended the script, at or after: [ -e x ]",
         "ready / candle: set -e ended the script, at or after: [ -e x ]"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_other_programs_print_of_an_error(output: str, expected: str) -> None:
    assert said(output) == expected


@given(st.permutations([*TORCHRUN.splitlines(), *GROUP.splitlines()]))
def test_no_order_of_lines_is_too_odd(lines: list[str]) -> None:
    assert all(len(word) < 1000 for word in last_words(lines, with_errors=True))
    assert 1 <= len(explaining_lines(lines, 5, str(last_error(lines)))) <= 5


DEEP = FRAMES.replace(
    "RuntimeError",
    "".join(f'  File "{LIBRARY}/x.py", line {number}, in f\n    f()\n' for number in range(9)) + "RuntimeError",
)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (DEEP, ['  File "/home/me/train.py", line 40, in <module>', "    main()", "    f()", SHAPES]),
        (f"{DEEP}size of a\nsize of b\nsize of c",
         ['  File "/home/me/train.py", line 40, in <module>', "    main()", SHAPES, "size of a"]),
        (TORCHRUN, ['  File "/home/me/train.py", line 40, in <module>', "    main()",
                    "    return forward_call(*args, **kwargs)", SHAPES]),
        ("1\n2\n3\n4\n5", ["2", "3", "4", "5"]),
        ("start\nFortran runtime error: no\nError termination. Backtrace:\n#0  0x7 in ???\n#1  0x5 in x\n#2  0x5 in x",
         ["Fortran runtime error: no", "Error termination. Backtrace:", "#0  0x7 in ???", "#1  0x5 in x"]),
        ("Calls (the last one failed):\n  model.R:2: stop()\nError in f(3) : no\nExecution halted",
         ["Calls (the last one failed):", "  model.R:2: stop()", "Error in f(3) : no", "Execution halted"]),
        ("", []),
    ],
)  # fmt: skip
def test_which_lines_explain_most(output: str, expected: list[str]) -> None:
    lines = [line for line in output.splitlines() if line.strip()]
    assert explaining_lines(lines, 4, said(output)) == expected
    assert explaining_lines(lines, 4, "it ended without a value") == lines[-4:]


def test_an_error_before_a_signal_is_perhaps_not_the_reason() -> None:
    assert said(f"{FRAMES}epoch 3 of 5", with_errors=False) == "epoch 3 of 5"
    assert said(FRAMES, with_errors=False).startswith("RuntimeError: mat1")


def test_the_reason_of_a_lack_of_memory_speaks_of_it(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("CUDA out of memory. Tried to allocate 2.00 GiB\nno other device is left\n")
    outcome = outcome_of(Ended(1, 0.5, False, None), tmp_path / "out", lambda: ({}, ()))
    assert outcome.status is Status.OUT_OF_MEMORY
    assert outcome.reason == (
        "exit status 1; last output: no other device is left; "
        "before that: CUDA out of memory. Tried to allocate 2.00 GiB"
    )
