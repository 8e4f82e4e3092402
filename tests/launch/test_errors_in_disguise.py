"""The reason of a failure where the error is in a disguise: sent by another process, in a box, followed by noise."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from candle_hpo.launch.measuring.error_text import last_words
from candle_hpo.launch.measuring.result import last_lines

LIBRARY = "/opt/venv/lib/python3.11/site-packages/torch"
BROKEN = """\
Traceback (most recent call last):
  File "/home/me/train.py", line 40, in <module>
    main()
ValueError: broken
"""
REASON = "ValueError: broken (train.py, line 40)"


def said(output: str, *, with_errors: bool = True) -> str:
    lines = [line.rstrip() for line in output.split("\n") if line.strip()]
    return " / ".join(last_words(lines, with_errors=with_errors))


def printed_by(script: str, here: Path) -> str:
    (here / "model.py").write_text(textwrap.dedent(script))
    done = subprocess.run([sys.executable, "model.py"], cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            "from concurrent.futures import ProcessPoolExecutor\ndef f(x):\n    raise ValueError('in a worker')\n"
            "if __name__ == '__main__':\n    with ProcessPoolExecutor(1) as pool:\n        list(pool.map(f, [1]))",
            "ValueError: in a worker (model.py, line 3)",
        ),
        (
            "class Odd:\n    def __del__(self):\n        self.missing\nodd = Odd()\nraise ValueError('real')",
            "ValueError: real (model.py, line 5)",
        ),
        (
            "import threading, time\ndef f():\n    raise TypeError('in a thread')\nt = threading.Thread(target=f)\n"
            "t.start()\nt.join()\nraise ValueError('real')",
            "ValueError: real (model.py, line 7)",
        ),
        (
            "import atexit\natexit.register(lambda: 1 / 0)\nraise ValueError('real')",
            "ValueError: real (model.py, line 3)",
        ),
        (
            "import logging\nlogging.warning('%d', 'x')\nraise SystemExit('no data')",
            "no data",
        ),
        (
            "import warnings\ntry:\n    raise ValueError('real')\nfinally:\n    import atexit\n"
            "    atexit.register(warnings.warn, 'objects were leaked')",
            "ValueError: real (model.py, line 3)",
        ),
        ("raise ValueError('\\n  no such column:\\n  age')", "ValueError: no such column: (model.py, line 1) /   age"),
        (
            "import faulthandler, os\nfaulthandler.enable()\ndef f():\n    os.kill(os.getpid(), 11)\nf()",
            "Fatal Python error: Segmentation fault (model.py, line 4)",
        ),
    ],
)  # fmt: skip
def test_what_python_really_prints(script: str, expected: str, here: Path) -> None:
    found = said(printed_by(script, here), with_errors="Fatal" not in expected)
    assert found == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (  # PyTorch's, of a worker that loads data
            f'{BROKEN.replace("broken", "Caught ValueError in DataLoader worker process 0.")}'
            "Original Traceback (most recent call last):\n"
            f'  File "{LIBRARY}/utils/data/_utils/worker.py", line 309, in _worker_loop\n    data = fetch(index)\n'
            '  File "/home/me/data.py", line 12, in __getitem__\n    raise ValueError("bad image")\n'
            "ValueError: bad image",
            "ValueError: bad image (data.py, line 12)",
        ),
        (  # loguru's
            "2026-11-26 10:00:00.000 | ERROR    | __main__:<module>:9 - An error has been caught in function 'main':\n"
            'Traceback (most recent call last):\n\n> File "/home/me/train.py", line 9, in <module>\n    main()\n'
            "    └ <function main at 0x7f>\n\nValueError: broken",
            "ValueError: broken (train.py, line 9)",
        ),
        (  # Rich's, of its handler for logging
            "[10:00:00] ERROR    it failed                                     train.py:9\n"
            "                    ╭───── Traceback (most recent call last) ──────╮\n"
            "                    │ /home/me/train.py:7 in main                  │\n"
            "                    ╰──────────────────────────────────────────────╯\n"
            "                    ValueError: broken",
            "ValueError: broken (train.py, line 7)",
        ),
        (  # of a notebook, by papermill
            'Traceback (most recent call last):\n  File "/opt/venv/bin/papermill", line 8, in <module>\n    main()\n'
            "papermill.exceptions.PapermillExecutionError: \n----------------------------------------\n"
            'Exception encountered at "In [2]":\n----------------------------------------\n'
            "ValueError                                Traceback (most recent call last)\n"
            "Cell In[2], line 3\n      1 import math\n----> 3 math.sqrt(-1)\n\nValueError: math domain error",
            "ValueError: math domain error (Cell In[2], line 3)",
        ),
        (BROKEN + "/x/site-packages/a.py:3: UserWarning: a leak\n  warnings.warn('a leak')", REASON),
        (BROKEN + "train.py:3: RuntimeWarning: a leak\nsaved model.pt", f"{REASON} / saved model.pt"),
        (
            BROKEN + "-" * 74 + "\nmpirun detected that one or more processes exited with non-zero status\n" + "-" * 74,
            REASON,
        ),
        (
            "cannot read mesh.dat\n" + "=" * 83 + "\n=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES",
            "cannot read mesh.dat",
        ),
        (
            f"Summary\n{'=' * 65}\n{BROKEN}{'-' * 74}\nmpirun noticed that process rank 0 exited",
            REASON,
        ),
        (
            f"{BROKEN}{'-' * 74}\nPrimary job  terminated normally, but 1 process returned\na non-zero exit code.\n"
            f"{'-' * 74}\n{'-' * 74}\nmpirun detected that one or more processes exited",
            REASON,
        ),
        ("".join(f"[1,0]<stderr>:{line}\n" for line in BROKEN.splitlines()), REASON),
        (
            "model: model.c:12: main: Assertion `x > 0' failed.\nmodel.sh: line 4: 20819 Aborted   ./model",
            "model: model.c:12: main: Assertion `x > 0' failed. (model.c, line 12) / "
            "model.sh: line 4: 20819 Aborted   ./model",
        ),
        (
            "==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60\nREAD of size 4 at 0x60 thread T0\n"
            "    #0 0x55 in main /home/me/model.cpp:5:3\n    #1 0x7f (libc.so)\n==7==ABORTING",
            "==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60 (model.cpp, line 5)",
        ),
        (
            "\nProgram received signal SIGFPE: Floating-point exception - erroneous arithmetic operation.\n\n"
            "Backtrace for this error:\n#0  0x7f in ???\n#1  0x55 in x\n\tat /home/me/model.f90:4\n#2  0x7f in ???",
            "Program received signal SIGFPE: Floating-point exception - erroneous arithmetic operation. "
            "(model.f90, line 4)",
        ),
        (
            "Error in `mutate()`:\ni In argument: `x = f(y)`.\nCaused by error in `f()`:\n! object 'y' not found\n"
            "Backtrace:\n 1. f(y)\nExecution halted",
            "Error in `mutate()`: i In argument: `x = f(y)`. / Caused by error in `f()`: ! object 'y' not found "
            "/  1. f(y)",
        ),
        (
            "Error in f(x) : no such column\nCalls: g -> f\nIn addition: Warning message:\nNAs introduced\n"
            "Execution halted",
            "Error in f(x) : no such column / NAs introduced",
        ),
        (  # a dump of all threads, and no error
            'Current thread 0x7f (most recent call first):\n  File "/home/me/train.py", line 3 in f\nloss is too large',
            "loss is too large",
        ),
    ],
)  # fmt: skip
def test_what_others_make_of_an_error(output: str, expected: str) -> None:
    assert said(output) == expected


def test_colours_are_left_out_of_an_error(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    output.write_text(
        "\x1b[0;31mValueError\x1b[0m     Traceback (most recent call last)\n\x1b[1mValueError\x1b[0m: x\n"
    )
    assert last_words(last_lines(output, 9), with_errors=True) == ["ValueError: x"]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (Debian: apt-get install r-base-core)")
def test_what_r_prints_after_an_error(here: Path) -> None:
    (here / "model.R").write_text("f <- function(x) { warning('odd'); stop('no such column') }\nf(1)\n")
    done = subprocess.run(["Rscript", "model.R"], cwd=here, capture_output=True, text=True, check=False)
    assert said(done.stderr).startswith("Error in f(1) : no such column")
