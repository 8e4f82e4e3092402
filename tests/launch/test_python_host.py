"""The model host for Python: a script runs as if by hand, in whatever interpreter the user has."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from candle_hpo.launch.command import PYTHON_HOST
from conftest import Candle, input_text
from support.interpreters import interpreters


class Ran(NamedTuple):
    status: int
    output: str
    reported: object


def run_host(
    script: str | bytes, hyperparameters: object, here: Path, *arguments: str, python: str = sys.executable
) -> Ran:
    """Run a script by the host, from another folder than its own, as a worker does."""
    folder = here / "scripts"
    folder.mkdir(exist_ok=True)
    data = script if isinstance(script, bytes) else textwrap.dedent(script).encode()
    (folder / "model.py").write_bytes(data)
    params, result = here / "params.json", here / "result.json"
    params.write_text(json.dumps(hyperparameters))
    result.unlink(missing_ok=True)
    done = subprocess.run(
        [python, *arguments, str(PYTHON_HOST), str(folder / "model.py")],
        cwd=here,
        env={**os.environ, "CANDLE_PARAMS_FILE": str(params), "CANDLE_RESULT_FILE": str(result)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    reported = json.loads(result.read_text())["val_to_return"] if result.exists() else None
    return Ran(done.returncode, done.stdout, reported)


def test_the_host_is_written_in_the_oldest_python_it_serves() -> None:
    ast.parse(PYTHON_HOST.read_text(), feature_version=(3, 7))


ALL_HABITS = """
    from __future__ import print_function
    import os, sys
    import helper

    assert hyperparams is candle_params and type(hyperparams) is dict
    assert __name__ == "__main__" and sys.modules["__main__"].__dict__ is globals()
    assert sys.argv == [__file__] and __file__ == os.path.abspath(__file__)
    assert sys.path[0] == os.path.dirname(__file__), sys.path
    assert os.getcwd() != sys.path[0]
    assert __spec__ is None and __package__ is None

    def main():
        global val_to_return
        val_to_return = helper.double(hyperparams["x"])

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("python", interpreters())
def test_a_script_runs_as_main_from_its_own_file(here: Path, python: str) -> None:
    (here / "scripts").mkdir()
    (here / "scripts" / "helper.py").write_text("def double(x): return 2 * x\n")
    assert run_host(ALL_HABITS, {"x": 21}, here, python=python) == Ran(0, "", 42.0)


@pytest.mark.parametrize("python", interpreters())
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_have_the_hyperparameters(here: Path, python: str, method: str) -> None:
    script = f"""
        import multiprocessing

        FACTOR = hyperparams["factor"]   # read at import, in the children too

        def multiply(x):
            return x * FACTOR

        def nested(x):
            with multiprocessing.get_context("{method}").Pool(1) as pool:
                return pool.map(multiply, [x])[0]

        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                val_to_return = sum(pool.map(multiply, [1, 2, 3]))
            process = multiprocessing.get_context("{method}").Process(target=nested, args=(1,))
            process.start()
            process.join()
            assert process.exitcode == 0
    """
    assert run_host(script, {"factor": 10}, here, python=python) == Ran(0, "", 60.0)


@pytest.mark.parametrize("python", interpreters())
def test_a_traceback_names_the_real_lines_and_no_line_of_ours(here: Path, python: str) -> None:
    ran = run_host("\n\ndef f():\n    return 1 / 0\n\nf()\n", {}, here, python=python)
    path = here / "scripts" / "model.py"
    frames = [line for line in ran.output.splitlines() if line.startswith("  File")]
    assert ran.status == 1
    assert frames == [f'  File "{path}", line 6, in <module>', f'  File "{path}", line 4, in f']
    assert ran.output.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("python", interpreters())
def test_a_missing_hyperparameter_is_explained(here: Path, python: str) -> None:
    script = "p = hyperparams\ndef build(config):\n    return config['dropuot']\nbuild(p)\n"
    ran = run_host(script, {"dropout": 0.1, "x": 1}, here, python=python)
    assert ran.status == 1
    assert ran.output.endswith(
        "KeyError: 'dropuot'\n"
        'candle: there is no hyperparameter "dropuot" (there are: dropout, x); add it to &default_model, '
        "or to the sets of &param_space, in the input file\n"
    )


@pytest.mark.parametrize("line", ["{}['dropuot']", "hyperparams[('a', 'b')]", "import os; os.environ['dropuot']"])
def test_another_key_error_is_not_explained(here: Path, line: str) -> None:
    ran = run_host(line, {"dropout": 0.1}, here)
    assert ran.status == 1
    assert "candle:" not in ran.output


def test_a_syntax_error_reads_as_python_prints_it(here: Path) -> None:
    ran = run_host("x = 1\ny = (\n", {}, here)
    assert ran.status == 1
    assert f'File "{here}/scripts/model.py", line 2' in ran.output
    assert "Traceback" not in ran.output
    assert "SyntaxError" in ran.output


@pytest.mark.parametrize(
    ("script", "reported"),
    [
        ("val_to_return = 1.5", 1.5),
        ("candle_value_to_return = 2", 2.0),
        ("candle_value_to_return = 2; val_to_return = 1", 1.0),
        ("history = {'loss': [9], 'val_loss': [3, 2, 1.25]}", 1.25),
        ("class History: history = {'val_loss': [3, 0.5]}\nhistory = History()", 0.5),
        ("import numpy; val_to_return = numpy.float32(0.5)", 0.5),
        ("import numpy; val_to_return = numpy.array([[4]])", 4.0),
        ("import torch; val_to_return = torch.tensor(0.25, requires_grad=True)", 0.25),
        ("from fractions import Fraction; val_to_return = Fraction(1, 4)", 0.25),
        ("val_to_return = 'low'", "'low' (str)"),
        ("val_to_return = None", "None (NoneType)"),
        ("val_to_return = True", "True (bool)"),
        ("import numpy; val_to_return = numpy.array([1, 2])", "array([1, 2]) (ndarray)"),
        ("pass", None),
        ("history = {'val_loss': []}", None),
        ("history = ['of', 'something', 'else']", None),
    ],
)
def test_values(here: Path, script: str, reported: object) -> None:
    assert run_host(script, {}, here) == Ran(0, "", reported)


@pytest.mark.parametrize(("value", "shown"), [("float('nan')", "nan"), ("float('-inf')", "-inf")])
def test_values_that_are_not_finite_are_reported_as_they_are(here: Path, value: str, shown: str) -> None:
    assert str(run_host(f"val_to_return = {value}", {}, here).reported) == shown


@pytest.mark.parametrize(
    ("end", "status", "reported"),
    [
        ("sys.exit()", 0, 1.0),
        ("sys.exit(0)", 0, 1.0),
        ("raise SystemExit", 0, 1.0),
        ("sys.exit(3)", 3, None),
        ("sys.exit('it went wrong')", 1, None),
        ("import os; os._exit(0)", 0, None),
        ("raise KeyboardInterrupt", 130, None),
    ],
)
def test_ends(here: Path, end: str, status: int, reported: object) -> None:
    ran = run_host(f"import sys\nval_to_return = 1\n{end}\n", {}, here)
    assert (ran.status, ran.reported) == (status, reported)


def test_an_exit_with_a_message_prints_it(here: Path) -> None:
    assert run_host("import sys; sys.exit('it went wrong')", {}, here).output == "it went wrong\n"


def test_a_script_in_another_encoding(here: Path) -> None:
    script = "# -*- coding: latin-1 -*-\nval_to_return = len('é')\n".encode("latin-1")
    assert run_host(script, {}, here) == Ran(0, "", 1.0)


def test_exit_handlers_and_the_scripts_own_excepthook_run(here: Path) -> None:
    script = """
        import atexit, sys
        atexit.register(print, "goodbye")
        sys.excepthook = lambda kind, error, traceback: print("hooked", kind.__name__)
        raise ValueError
    """
    assert run_host(script, {}, here) == Ran(1, "hooked ValueError\ngoodbye\n", None)


def test_objects_of_the_scripts_classes_can_be_pickled(here: Path) -> None:
    script = """
        import pickle
        class Model: pass
        val_to_return = isinstance(pickle.loads(pickle.dumps(Model())), Model) + len(pickle.dumps(hyperparams)) * 0
    """
    assert run_host(script, {"x": 1}, here).reported == 1.0


def test_subprocesses_of_a_script_work(here: Path) -> None:
    script = """
        import subprocess, sys
        said = subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True, check=True).stdout
        val_to_return = int(said)
    """
    assert run_host(script, {}, here).reported == 7.0


def test_arguments_for_the_interpreter(here: Path) -> None:
    script = "import sys; val_to_return = sys.flags.optimize + 10 * sys.flags.no_user_site"
    assert run_host(script, {}, here, "-O", "-s").reported == 11.0


ODD = {
    "quotes": "\"'`",
    "command": "$(touch hacked); `touch hacked`",
    "variable": "$HOME ${HOME} ~",
    "lines": "a\nb\r\n\tc\u2028d",
    "unicode": "größe 数 🙂",
    "zero": "a\0b",
    "empty": "",
    "blanks": "  ",
    "backslash": "\\n\\",
    "list": [1, 2.5, None, True, {"k": "v"}],
    "large": 2**70,
    "small": 5e-324,
    "na me": 1,
}


def test_odd_hyperparameters_reach_the_script_unchanged(here: Path) -> None:
    script = f"assert hyperparams == {ODD!r}, hyperparams\nval_to_return = 1\n"
    assert run_host(script, ODD, here) == Ran(0, "", 1.0)
    assert not (here / "hacked").exists()


def test_the_output_can_be_watched_while_the_script_runs(here: Path) -> None:
    script = """
        import os
        print("epoch 1")
        os._exit(0)   # what is still in a buffer is lost
    """
    assert run_host(script, {}, here).output == "epoch 1\n"


def test_a_link_to_a_script_finds_the_scripts_neighbours(here: Path) -> None:
    (here / "real").mkdir()
    (here / "real" / "helper.py").write_text("x = 3\n")
    (here / "real" / "model.py").write_text("import helper; val_to_return = helper.x\n")
    (here / "scripts").mkdir()
    (here / "scripts" / "model.py").symlink_to(here / "real" / "model.py")
    text = (here / "real" / "model.py").read_text()
    assert run_host(text, {}, here).reported == 3.0


def test_a_thread_may_leave_the_value(here: Path) -> None:
    script = """
        import threading, time
        def train():
            global val_to_return
            time.sleep(0.2)
            val_to_return = 4
        threading.Thread(target=train).start()
    """
    assert run_host(script, {}, here).reported == 4.0


def test_a_pool_of_threads_that_nobody_shuts_down_ends(here: Path) -> None:
    script = """
        from concurrent.futures import ThreadPoolExecutor
        import time
        def train(x):
            global val_to_return
            time.sleep(0.2)
            val_to_return = x
        ThreadPoolExecutor(2).submit(train, 4)
    """
    assert run_host(script, {}, here).reported == 4.0


def test_a_pool_of_processes_that_nobody_shuts_down_ends(here: Path) -> None:
    """As those of joblib do, which scikit-learn starts with `n_jobs`: only Python's own end ends their thread."""
    script = """
        from concurrent.futures import ProcessPoolExecutor
        pool = ProcessPoolExecutor(2)
        val_to_return = sum(pool.map(abs, [-1, -3]))
    """
    assert run_host(script, {}, here).reported == 4.0


def test_an_excepthook_that_fails_and_a_value_that_cannot_be_shown(here: Path) -> None:
    ran = run_host("import sys\nsys.excepthook = 1\nraise ValueError('mine')\n", {}, here)
    assert ran.status == 1
    assert ran.output.endswith("ValueError: mine\n")
    assert "python_host" not in ran.output
    script = "class Odd:\n    def __repr__(self): raise ValueError\nval_to_return = Odd()\n"
    assert run_host(script, {}, here) == Ran(0, "", "a Odd")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_process_imports_the_script_as_often_as_by_hand(here: Path, method: str) -> None:
    script = f"""
        import multiprocessing, os
        globals().setdefault("hyperparams", None)
        with open("imports", "a") as file:
            print(__name__, file=file)
        def work(): pass
        if __name__ == "__main__":
            process = multiprocessing.get_context("{method}").Process(target=work)
            process.start()
            process.join()
            val_to_return = 1
    """
    run_host(script, {}, here)
    by_host = sorted((here / "imports").read_text().split())
    (here / "imports").unlink()
    subprocess.run([sys.executable, here / "scripts" / "model.py"], cwd=here, check=True)
    assert by_host == sorted((here / "imports").read_text().split())


def test_a_model_in_its_own_environment_sees_nothing_of_ours(candle: Candle, here: Path) -> None:
    """Its Python is another one where the machine has one; its packages, its paths and its `python3` are its own."""
    other = interpreters()[-1]
    subprocess.run([other, "-m", "venv", "--without-pip", str(here / "environment")], check=True)
    (here / "model.py").write_text(
        textwrap.dedent("""
            import json, os, shutil, sys
            json.dump([sys.path, sys.prefix, shutil.which("candle"), dict(os.environ)], open("seen.json", "w"))
            val_to_return = sys.version_info[1]
        """)
    )
    control = 'model_script="model.py"\nworkflow="grid"\nengine="local"\npython_bin_path="environment/bin"'
    (here / "x.in").write_text(input_text(control, "", '{"x": 1}'))
    ours = Path(sys.executable).parent
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != ours)
    done = candle("submit-job", "x.in", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    run = here / "last-candle-job" / "run" / "hpset_00001"
    paths, prefix, our_command, environment = json.loads((run / "seen.json").read_text())
    assert prefix == str(here / "environment")
    assert our_command is None
    assert not [place for place in paths if place.startswith(str(ours.parent)) or "candle_hpo" in place]
    assert environment.get("PYTHONPATH") == os.environ.get("PYTHONPATH")
    assert environment["PATH"] == path
