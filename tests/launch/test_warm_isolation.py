"""What a trial finds and how it ends, warm against cold: with the same results, whatever the trial before it did."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.trial import Status
from support.warm_trials import Trials

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="warm start is for Linux")]

IMPORTS = "import json, os, sys, signal, threading, atexit, random, logging, resource\nimport numpy\n"

# Changes all that a process can change of itself, and of the libraries that it shares with others.
SPOIL = f"""{IMPORTS}
import time, torch
json.loads = None
numpy.spoilt = torch.spoilt = True
numpy.seterr(all="raise")
torch.set_default_dtype(torch.float64)
torch.manual_seed(1); random.seed(1); numpy.random.seed(1)
os.environ["SPOILT"] = "1"; del os.environ["HOME"]
os.umask(0o777)
os.chdir("/")
sys.path.insert(0, "/spoilt"); sys.argv.append("spoilt"); sys.setrecursionlimit(77)
sys.modules["spoilt"] = sys
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGUSR1, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
logging.basicConfig(level=logging.DEBUG); logging.getLogger("spoilt")
kept = [open(os.devnull) for _ in range(10)]
os.dup2(kept[0].fileno(), 50, inheritable=True)
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
atexit.register(print, "spoilt")
sys.stdout.write("not flushed")
os.nice(5)
val_to_return = 1
"""

STATE = f"""{IMPORTS}import torch
threads = len(os.listdir("/proc/self/task"))
files = {{name: os.readlink("/proc/self/fd/" + name) for name in os.listdir("/proc/self/fd") if name < "3"}}
files["more"] = len(os.listdir("/proc/self/fd")) - 3
seen = {{
    "environment": dict(os.environ), "path": sys.path, "arguments": sys.argv, "directory": os.getcwd(),
    "files": files, "threads": [threads, threading.active_count(), threading.current_thread().name],
    "signals": {{int(n): str(signal.getsignal(n)) for n in signal.valid_signals()}},
    "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    "limits": [resource.getrlimit(getattr(resource, n)) for n in sorted(dir(resource)) if n.startswith("RLIMIT_")],
    "umask": os.umask(0o22), "nice": os.nice(0), "recursion": sys.getrecursionlimit(),
    "session": os.getsid(0) == os.getpid() == os.getpgrp(), "main": sorted(k for k in globals() if k != "seen"),
    "spoilt": [hasattr(numpy, "spoilt"), hasattr(torch, "spoilt"), "spoilt" in sys.modules],
    "numpy": numpy.geterr(), "dtype": str(torch.get_default_dtype()), "handlers": len(logging.root.handlers),
    "loggers": "spoilt" in logging.root.manager.loggerDict, "json": json.loads("1"), "flags": str(sys.flags),
    "streams": [repr(sys.stdin), repr(sys.stdout), repr(sys.stderr), sys.stdout.line_buffering],
    "file": [__file__, __name__, str(__spec__), __package__, sys.modules["__main__"].__dict__ is globals()],
    "importers": len(sys.meta_path), "children": os.path.exists("/proc/self/task/%d/children" % os.getpid()),
    "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__],
    "ours": [n for n in sys.modules if "warm" in n or "candle" in n or "python_host" in n],
}}
print(json.dumps(seen, indent=1, sort_keys=True, ensure_ascii=False))
val_to_return = 1
"""

ENDS = {
    "a value": "val_to_return = 0.1",
    "no value": "pass",
    "a dict": "val_to_return = {'val_to_return': 1, 'accuracy': 0.5}",
    "exit 0": "val_to_return = 1; sys.exit()",
    "exit 3": "val_to_return = 1; sys.exit(3)",
    "exit with words": "sys.exit('it went wrong')",
    "exit 300": "sys.exit(300)",
    "exit -1": "sys.exit(-1)",
    "exit of the system": "print('lost', end='', file=open('a', 'w')); os._exit(4)",
    "an error": "def f():\n    return 1 / 0\n\nf()",
    "an error in an error": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    [][1]",
    "an error in a library": "import torch; torch.zeros(2, 3) @ torch.zeros(2, 3)",
    "a missing hyperparameter": "hyperparams['nothing']",
    "an interrupt": "raise KeyboardInterrupt",
    "its own excepthook": "sys.excepthook = lambda *_: print('hooked')\nraise ValueError",
    "SIGSEGV": "import faulthandler; faulthandler.disable(); os.kill(os.getpid(), signal.SIGSEGV)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "an abort": "os.abort()",
    "SIGTERM to its group": "os.killpg(0, signal.SIGTERM)",
    "exit handlers": "atexit.register(print, 'last'); atexit.register(print, 'first'); val_to_return = 1",
    "an exit handler that fails": "atexit.register(lambda: 1 / 0); val_to_return = 1",
    "an object's end": "class C:\n    def __del__(self, write=os.write): write(1, b'gone')\nc = C()",
    "a cycle's end": "class C:\n    def __del__(self, write=os.write): write(1, b'gone')\nc = C(); c.me = c",
    "a file that nobody closes": "f = open('left', 'w'); f.write('all of it'); val_to_return = 1",
    "a file that a library holds": "numpy.left = open('left', 'w'); numpy.left.write('all of it'); val_to_return = 1",
    "a file that nobody closes, beside a weak reference": """
import weakref
class C: pass
c = C(); numpy.kept = weakref.proxy(c); numpy.left = open('left', 'w'); numpy.left.write('all of it')
del c; val_to_return = 1""",
    "a file that goes together with a function": """
def f(): pass
numpy.kept = f; f.left = left = open('left', 'w'); left.write('all of it'); del numpy.kept; val_to_return = 1""",
    "a log that nobody closes": "logging.basicConfig(filename='left'); logging.warning('said'); val_to_return = 1",
    "no newline at the end": "sys.stdout.write('no newline'); sys.stderr.write('there'); val_to_return = 1",
    "another stdout": "sys.stdout = open('left', 'w'); print('hidden'); val_to_return = 1",
    "a full disk": "sys.stdout = open('/dev/full', 'w'); print('lost'); val_to_return = 1",
    "a stdout of its own making": "class S:\n    def write(self, text): os.write(1, text.encode())\nsys.stdout = S()",
    "a closed stdout": "sys.stdout.close(); val_to_return = 1",
    "what C prints": "import ctypes; ctypes.CDLL(None).printf(b'from C'); val_to_return = 1",
    "a thread that continues": """
def train():
    global val_to_return
    import time; time.sleep(0.2); val_to_return = 4
threading.Thread(target=train).start()""",
    "a daemon": "threading.Thread(target=threading.Event().wait, daemon=True).start(); val_to_return = 1",
    "a pool of threads": """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2); val_to_return = sum(pool.map(abs, [-1, 2]))""",
    "its input": "print(repr(sys.stdin.read())); val_to_return = 1",
    "too little memory": """
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
try:
    numpy.ones(8 << 30, dtype=numpy.uint8)
except MemoryError:
    print('too much')
val_to_return = 1""",
    "subprocesses": """
import subprocess
val_to_return = int(subprocess.run([sys.executable, '-c', 'print(7)'], capture_output=True, check=True).stdout)""",
    "a process left behind": "import subprocess; subprocess.Popen(['sleep', '600']); val_to_return = 1",
    "its own import": "import sqlite3, helper; val_to_return = helper.x",
    "warnings": "import warnings; warnings.warn('careful'); numpy.float64(1) / 0; val_to_return = 1",
    "computing": "import torch; torch.manual_seed(3); val_to_return = torch.nn.Linear(9, 1)(torch.ones(9)).item()",
    "numpy's threads": "val_to_return = float((numpy.ones((500, 500)) @ numpy.ones((500, 500))).sum())",
    "torch's threads": "import torch\ntorch.set_num_threads(2); val_to_return = torch.ones(500, 500).pow(2).sum()",
    "a DataLoader": """
import torch
if __name__ == '__main__':
    data = torch.utils.data.TensorDataset(torch.arange(40.0))
    loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2)
    val_to_return = sum(batch.sum().item() for batch, in loader)""",
}
for method in ("fork", "spawn", "forkserver"):
    ENDS[f"multiprocessing by {method}"] = f"""
import multiprocessing
def multiply(x):
    return x * hyperparams["x"], os.getcwd(), sys.argv
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print(pool.map(multiply, [1, 2, 3]))
    print(multiprocessing.current_process(), multiprocessing.parent_process())
    val_to_return = 1"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trials, Trials]]:
    """The same experiment twice: cold, and warm with a trial before each that spoils what it can."""
    here = tmp_path_factory.mktemp("isolation") / "a folder's “name” $HOME"
    here.mkdir()
    (here / "helper.py").write_text("x = 3\nkept = open('kept_by_helper', 'w')\nkept.write('kept')\n")
    cold = Trials(here, "cold", IMPORTS, preload=("none",))
    warm = Trials(here, "warm", IMPORTS, preload=("torch",))
    yield cold, warm
    warm.host.close()


def compare(pair: tuple[Trials, Trials], script: str) -> None:
    """Run a script cold, and warm after another; see that all that can be seen of them is the same."""
    cold, warm = pair
    warm.run(SPOIL)
    cold.number = warm.number
    expected = cold.run(script, x=2)
    outcome = warm.run(script, x=2)
    assert warm.output == cold.output
    for one in (cold, warm):
        for left in ("params.json", "command.sh", "reported_result.json"):
            (one.folder / left).unlink(missing_ok=True)
    files = [{path.name for path in one.folder.iterdir()} for one in pair]
    assert files[0] == files[1]
    for name in files[0] - {"outcome.json", "subprocess_out_and_err.txt"}:
        assert (warm.folder / name).read_text() == (cold.folder / name).read_text(), name
    assert (outcome.status, outcome.value_of(THE_VALUE), outcome.metrics) == (
        expected.status,
        expected.value_of(THE_VALUE),
        expected.metrics,
    )
    assert outcome.reason == expected.reason
    assert warm.notes == []


def test_all_that_a_trial_finds_is_as_in_a_fresh_interpreter(pair: tuple[Trials, Trials]) -> None:
    compare(pair, STATE)


@pytest.mark.parametrize("name", ENDS)
def test_trials_end_as_in_a_fresh_interpreter(pair: tuple[Trials, Trials], name: str) -> None:
    compare(pair, f"{IMPORTS}{ENDS[name]}\n")


def test_what_a_library_registers_for_the_end_is_done(tmp_path: Path) -> None:
    """A library that comes in with the trial may have to write what it holds when the process ends."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, library = tmp_path / "late.c", tmp_path / "late.so"
    source.write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        'static void end(void) { FILE *f = fopen("late", "w"); fputs("written", f); fclose(f); }\n'
        "void begin(void) { atexit(end); }\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    trials = Trials(tmp_path, "warm")
    trials.run(f"import ctypes; ctypes.CDLL({str(library)!r}).begin(); val_to_return = 1")
    assert (trials.folder / "late").read_text() == "written"
    trials.host.close()


def test_no_two_trials_share_a_random_stream_and_none_has_its_own_seeds_changed(tmp_path: Path) -> None:
    script = """
        import random
        import json
        import numpy, torch
        import generators
        drawn = [random.random(), numpy.random.rand(), torch.rand(1).item(), numpy.random.default_rng().random(),
                 generators.default(), generators.OLD.rand()]
        chosen = [generators.CHOSEN.random(), generators.CHOSEN_OLD.rand()]
        print(json.dumps([drawn, chosen]))
        val_to_return = 1
    """
    seen = []
    for name, preload in (("cold", ("none",)), ("warm", ())):
        trials = Trials(tmp_path, name, script, preload=preload)
        (trials.installed / "generators.py").write_text(
            "import numpy\nCHOSEN, CHOSEN_OLD = numpy.random.default_rng(5), numpy.random.RandomState(5)\n"
            "OLD = numpy.random.RandomState()\n"
            "def default(generator=numpy.random.default_rng()):\n    return generator.random()\n"
        )
        for _ in range(4):
            assert trials.run().status is Status.COMPLETED, trials.output
            seen.append(json.loads(trials.output))
        assert trials.notes == []
        trials.host.close()
    streams = list(zip(*[drawn for drawn, _ in seen], strict=True))
    assert [len(set(stream)) for stream in streams] == [8] * 6
    assert len({tuple(chosen) for _, chosen in seen}) == 1


def test_a_trial_shows_whose_it_is_and_its_whole_environment_from_outside(here: Path) -> None:
    """An empty entry would end the list for most that read it, and hide the variables behind it."""
    trials = Trials(here, "X000")
    assert trials.run("import os; print(os.getppid()); print(open('/proc/self/environ').read()); val_to_return = 1")
    host, _, shown = trials.output.partition("\n")
    assert host == str(trials.host._branch.pid if trials.host._branch else 0)
    entries = shown.rstrip("\n").split("\0")
    assert {"CANDLE_PARAMS_FILE=RUN/params.json", "CANDLE_EXPERIMENT_DIR=EXPERIMENT"} <= set(entries)
    assert "" not in entries[:-1]
    trials.host.close()
