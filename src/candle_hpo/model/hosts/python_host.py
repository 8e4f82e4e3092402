"""Runs a model script as `python SCRIPT` would, with its hyperparameters there and its value taken.

This file runs in the user's interpreter, from Python 3.7 on, and needs nothing but the standard library:

    python [INTERPRETER ARGUMENTS] python_host.py SCRIPT

The hyperparameters come from the JSON file named by CANDLE_PARAMS_FILE; the value goes to the one named by
CANDLE_RESULT_FILE, as {"val_to_return": …}. A value that is no number goes there as a text that shows it.
"""

from __future__ import annotations

import importlib.machinery
import io
import json
import os
import sys
import types

TYPE_CHECKING = False  # `typing` would cost the model's start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VALUE_NAMES = ("val_to_return", "candle_value_to_return")
HYPERPARAMETER_NAMES = ("hyperparams", "candle_params")
SCRIPT_VARIABLE = "CANDLE_MODEL_SCRIPT"


def main(host: str) -> None:
    """Run the script named by the first argument; exit with its own exit status."""
    end_with_parent()
    script = os.path.abspath(sys.argv[1])
    os.environ[SCRIPT_VARIABLE] = script
    sys.argv[:] = [script, *sys.argv[2:]]
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(host)):
        sys.path[0] = os.path.dirname(os.path.realpath(script))  # as Python does for a link to a script
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # so that people can watch the file that it goes to
    follow_into_child_processes(host)
    hyperparameters = read_hyperparameters()
    module = types.ModuleType("__main__")
    module.__dict__.update(namespace_of(script, "__main__", hyperparameters))
    sys.modules["__main__"] = module
    try:
        run(script, module.__dict__)
    except SystemExit as end:
        if end.code in (None, 0):
            report(module.__dict__)
        raise
    except BaseException as error:
        show(error, host, hyperparameters)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    report(module.__dict__)


def end_with_parent() -> None:
    """Ask Linux to end this process when the worker that started it ends, however that ends (prctl(2))."""
    if not sys.platform.startswith("linux"):
        return
    try:
        import ctypes

        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
        if os.getppid() != parent:
            os.kill(os.getpid(), 9)
    except (ImportError, OSError, AttributeError):
        pass  # an interpreter without ctypes, or another C library: then a lost worker's model runs on


def read_hyperparameters() -> dict[str, object]:
    """Return the hyperparameters of this trial as a plain dict."""
    with open(os.environ["CANDLE_PARAMS_FILE"], encoding="utf-8") as file:
        hyperparameters: dict[str, object] = json.load(file)
    return hyperparameters


def namespace_of(script: str, name: str, hyperparameters: dict[str, object]) -> dict[str, object]:
    """Return the globals with which Python begins a script, and the hyperparameters among them."""
    namespace: dict[str, object] = {
        "__name__": name,
        "__file__": script,
        "__builtins__": __builtins__,
        "__doc__": None,
        "__cached__": None,
        "__loader__": importlib.machinery.SourceFileLoader(name, script),
        "__package__": None,
        "__spec__": None,
    }
    namespace.update(dict.fromkeys(HYPERPARAMETER_NAMES, hyperparameters))
    return namespace


def run(script: str, namespace: dict[str, object]) -> None:
    """Run a script's own text, compiled from its own file: its lines, its encoding, its future imports."""
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec", dont_inherit=True)
    exec(code, namespace)


def report(namespace: dict[str, object]) -> None:
    """Write the value that the script left, if it left one; threads that Python would wait for may leave it yet."""
    if "threading" in sys.modules:
        import threading

        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
    for name in VALUE_NAMES:
        if name in namespace:
            value = namespace[name]
            break
    else:
        losses = losses_of(namespace.get("history"))
        if not losses:
            return
        value = losses[-1]
    try:
        value = value.item() if hasattr(value, "item") else value  # NumPy, PyTorch, TensorFlow
        number = None if isinstance(value, (bool, str, bytes)) else float(value)  # type: ignore[arg-type]
    except Exception:
        number = None
    shown = describe(value) if number is None else number
    with open(os.environ["CANDLE_RESULT_FILE"], "w", encoding="utf-8") as file:
        json.dump({"val_to_return": shown}, file)


def describe(value: object) -> str:
    """Return what a value that is no number looks like."""
    try:
        return f"{repr(value)[:80]} ({type(value).__name__})"
    except Exception:
        return f"a {type(value).__name__}"


def losses_of(history: object) -> list[object] | tuple[object, ...] | None:
    """Return the validation losses of a Keras history, an object or a dict; None where there are none."""
    history = getattr(history, "history", history)
    losses = history.get("val_loss") if isinstance(history, dict) else None
    return losses if isinstance(losses, (list, tuple)) else None


def show(error: BaseException, host: str, hyperparameters: dict[str, object]) -> None:
    """Print an exception as Python does, without our own frames, and explain a missing hyperparameter."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == host:
        traceback = traceback.tb_next
    try:
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
    except Exception:
        sys.__excepthook__(type(error), error, traceback)
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if isinstance(error, KeyError) and traceback is not None and error.args:
        explain_missing(error.args[0], traceback, hyperparameters)


def explain_missing(name: object, traceback: types.TracebackType, hyperparameters: dict[str, object]) -> None:
    """Say which hyperparameters there are, if the line that failed asked for one that is not."""
    import linecache
    import re

    frame = traceback.tb_frame
    names = {key for key, value in {**frame.f_globals, **frame.f_locals}.items() if value is hyperparameters}
    line = linecache.getline(frame.f_code.co_filename, traceback.tb_lineno)
    asked = any(re.search(rf"\b{re.escape(known)}\b", line) for known in names)
    if asked and isinstance(name, str) and name not in hyperparameters:
        there = ", ".join(hyperparameters) or "none"
        print(
            f'candle: there is no hyperparameter "{name}" (there are: {there}); add it to &default_model, '
            "or to the sets of &param_space, in the input file",
            file=sys.stderr,
        )


def follow_into_child_processes(host: str) -> None:
    """Make the processes that multiprocessing spawns find the hyperparameters too.

    Such a process imports the main script anew, from its path. Here it imports this file instead, which then
    runs the script with its hyperparameters there. Nothing is imported for it that the script does not import.
    """
    watched = "multiprocessing.spawn"
    modules, meta_path = sys.modules, sys.meta_path
    find: Callable[..., Any] = importlib.machinery.PathFinder.find_spec

    def change(module: types.ModuleType) -> None:
        original = module.get_preparation_data

        def get_preparation_data(name: str) -> dict[str, object]:
            data: dict[str, object] = original(name)
            if "init_main_from_path" in data:
                data["init_main_from_path"] = host
            return data

        module.get_preparation_data = get_preparation_data  # type: ignore[attr-defined]

    class Watch:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> object:
            if name != watched:
                return None
            meta_path.remove(Watch)  # type: ignore[arg-type]
            spec = find(name, path, target)
            execute = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                change(module)

            spec.loader.exec_module = exec_module
            return spec

    if watched in modules:
        change(modules[watched])
    else:
        meta_path.insert(0, Watch)  # type: ignore[arg-type]


def main_of_child_process(host: str, here: dict[str, object]) -> None:
    """Run the script in a process of multiprocessing, where it is `__mp_main__`, into the globals `here`."""
    script = os.environ[SCRIPT_VARIABLE]
    follow_into_child_processes(host)
    namespace = namespace_of(script, "__mp_main__", read_hyperparameters())
    run(script, namespace)
    here.update(namespace)
    here["__file__"] = host  # by which multiprocessing sees that this main script is imported already


if __name__ == "__main__":
    main(__file__)
elif __name__ == "__mp_main__":
    main_of_child_process(__file__, globals())
