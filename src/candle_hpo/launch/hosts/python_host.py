"""Runs a model script as `python SCRIPT` would, with its hyperparameters there and its value taken.

This file runs in the user's interpreter, from Python 3.7 on, and needs nothing but the standard library:

    python [INTERPRETER ARGUMENTS] python_host.py SCRIPT

The hyperparameters come from the JSON file named by CANDLE_PARAMS_FILE; the value goes to the one named by
CANDLE_RESULT_FILE, as {"val_to_return": …}. A value that is not a number goes there as a text that shows it.
What the script reports on its way by `candle_report` is appended to the file named by CANDLE_REPORTS_FILE.
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
LONGEST_METRIC = 200  # characters
SCRIPT_VARIABLE = "CANDLE_MODEL_SCRIPT"
MODULE_VARIABLE = (
    "CANDLE_MODEL_MODULE"  # the name of the script as a module, where it is run as `python -m NAME` runs it
)


def main(host: str) -> None:
    """Run the script named by the first argument; exit with its own exit status."""
    end_with_parent()
    become_the_script(host, sys.argv[1:])
    run_as_main(host)


def become_the_script(host: str, arguments: list[str]) -> None:
    """Make the arguments, the path and the streams what a script finds that Python itself was started with."""
    script = os.path.abspath(arguments[0])
    os.environ[SCRIPT_VARIABLE] = script
    sys.argv[:] = [script, *arguments[1:]]
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(host)):
        sys.path[0] = os.path.dirname(os.path.realpath(script))  # as Python does for a link to a script
        for _ in os.environ.get(MODULE_VARIABLE, "").split(".")[1:]:
            sys.path[0] = os.path.dirname(sys.path[0])  # the folder of its package, where one stands to run it by hand
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # so that people can watch the file that it goes to


def run_as_main(host: str) -> None:
    """Run the script named by `sys.argv` as `__main__` and report what it leaves; exit as it does, if it does."""
    script, me, result_file = sys.argv[0], os.getpid(), os.environ["CANDLE_RESULT_FILE"]
    follow_into_child_processes(host)
    hyperparameters = read_hyperparameters()
    module = types.ModuleType("__main__")
    module.__dict__.update(namespace_of(script, "__main__", hyperparameters))
    sys.modules["__main__"] = module
    if "__mp_main__" in sys.modules:  # imported beforehand, multiprocessing knows the main module that was there then
        sys.modules["__mp_main__"] = module
    try:
        run(script, module.__dict__)
    except SystemExit as end:
        if end.code in (None, 0) and os.getpid() == me:  # not in a process that the script has forked
            report(module.__dict__, result_file)
        raise
    except BaseException as error:
        show(error, host, hyperparameters)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    if os.getpid() == me:
        report(module.__dict__, result_file)


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
    namespace[candle_report.__name__] = candle_report
    return namespace


def candle_report(value: object = None, step: object = None, *surplus: object, **metrics: object) -> None:
    """Report what was measured by a step, such as an epoch: the value that is optimized, and others by their names.

    Never fails: what is not a number is left out, and that is said once.
    """
    if value is not None:
        metrics = {VALUE_NAMES[0]: value, **metrics}
    if step is not None:
        metrics = {"step": step, **metrics}
    line, wrong = {}, ["it takes a value and a step; the others need names"] if surplus else []
    for name, metric in metrics.items():
        number = number_of(metric, None)
        if isinstance(number, float):
            line[name] = int(number) if number.is_integer() and abs(number) < 1e15 else number
        else:
            wrong.append(name + " is " + describe(metric) + ", not a number")
    is_complete = bool(line) and ("step" in line or step is None)
    try:
        if is_complete:
            append_report(json.dumps(line).encode() + b"\n")
        elif not wrong:
            wrong.append("it was given nothing")
    except OSError as error:
        wrong.append(str(error))
    if wrong and "is_wrong" not in reporting:
        reporting["is_wrong"] = True
        try:
            print("candle: candle_report: " + "; ".join(wrong) + " (said once)", file=sys.stderr)
        except Exception:  # a standard error of the script's own making, or one that is closed
            return


candle_report.__module__ = "__main__"  # where other processes find it that are handed it
reporting: dict[str, Any] = {}


def append_report(line: bytes) -> None:
    """Append a line to the file of reports, which stays open, lest a network file system write each line at once.

    A script may close all descriptors, and then the number is another file's: so each time it is looked where it leads.
    """
    descriptor, shown = reporting.get("file", (-1, ""))
    try:
        is_open = os.readlink(f"/proc/self/fd/{descriptor}") == shown
    except OSError:
        is_open = False
    if is_open:
        os.write(descriptor, line)
        return
    path = os.environ.get("CANDLE_REPORTS_FILE", os.devnull)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        reporting["file"] = descriptor, os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # a system without these links, such as macOS
        with os.fdopen(descriptor, "wb", 0) as file:
            file.write(line)
        return
    os.write(descriptor, line)


def run(script: str, namespace: dict[str, object]) -> None:
    """Run a script's own text, compiled from its own file: its lines, its encoding, its future imports.

    A canonically CANDLE-compliant script is run by its functions `initialize_parameters` and `run`, as CANDLE does.
    """
    module = os.environ.get(MODULE_VARIABLE)
    if module:
        become_the_module(module, script, namespace)
    with open(script, "rb") as file:
        text = file.read()
    tree = compliant_script(text, script) if namespace["__name__"] == "__main__" else None
    exec(compile(text if tree is None else tree, script, "exec", dont_inherit=True), namespace)
    if tree is not None:
        run_compliant(namespace)


def become_the_module(module: str, script: str, namespace: dict[str, object]) -> None:
    """Import the packages around a script, as `python -m` does, and say in its globals where it belongs."""
    import importlib.util

    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not os.path.samefile(spec.origin, script):
        found = "is not found" if spec is None else f"is {spec.origin}"
        raise ImportError(f"the module {module} {found}, and the model script is {script}", name=module)
    namespace.update(__spec__=spec, __package__=spec.parent)


def compliant_script(text: bytes, script: str) -> Any:
    """Return a canonically CANDLE-compliant script, parsed, without what it does by itself as main script.

    None for every other script: one that lacks the two functions, leaves a value of its own accord, or is given its
    hyperparameters as arguments.
    """
    leaves_a_value = any(name.encode() in text for name in VALUE_NAMES)
    if b"initialize_parameters" not in text or leaves_a_value or len(sys.argv) > 1:
        return None
    import _ast  # what `ast` stands on, and there already

    tree: Any = compile(text, script, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    functions = {node.name for node in tree.body if isinstance(node, _ast.FunctionDef)}
    if not functions.issuperset(("initialize_parameters", "run")):
        return None

    def is_main_block(node: Any) -> bool:
        test = getattr(node, "test", None)
        if isinstance(test, _ast.BoolOp) and isinstance(test.op, _ast.And):
            return isinstance(node, _ast.If) and any(map(is_main_test, test.values))
        return isinstance(node, _ast.If) and is_main_test(test)

    def is_main_test(test: Any) -> bool:
        if not isinstance(test, _ast.Compare):
            return False
        sides = [test.left, *test.comparators]
        fields = [getattr(side, field, None) for side in sides for field in side._fields]
        return "__name__" in fields and "__main__" in fields

    tree.body = [node for node in tree.body if not is_main_block(node)]
    return tree


def run_compliant(namespace: dict[str, Any]) -> None:
    """Run a CANDLE-compliant script with the hyperparameters over its own defaults; its history is what it returns."""
    parameters = namespace["initialize_parameters"]()
    hyperparameters: dict[str, object] = namespace[HYPERPARAMETER_NAMES[0]]
    if isinstance(parameters, dict):
        parameters.update(hyperparameters)
    else:
        for name, value in hyperparameters.items():
            setattr(parameters, name, value)
    returned = namespace["run"](parameters)
    namespace["history" if losses_of(returned) else VALUE_NAMES[0]] = returned


def report(namespace: dict[str, object], file_name: str) -> None:
    """Write what the script left to a file, if it left a value; threads that Python would wait for may leave it yet.

    The value is a number, or a dict with `val_to_return` and other metrics; those of a Keras history count, too.
    """
    pools: Any = sys.modules.get("concurrent.futures.thread")
    if pools is not None:
        pools._python_exit()  # as Python does at its end; only then do the threads of a pool that is still open end
    if "threading" in sys.modules:
        import threading

        ends: Any = getattr(threading, "_threading_atexits", [])  # of pools of processes, joblib's too; from Python 3.9
        while ends:
            ends.pop()()
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
    history = namespace.get("history")
    left = [namespace[name] for name in VALUE_NAMES if name in namespace]
    value = left[0] if left else history
    found = last_of_each(history)
    if isinstance(value, dict) and VALUE_NAMES[0] in value:
        found.update(value)
        value = value[VALUE_NAMES[0]]
    elif losses_of(value):
        found.update(last_of_each(value))
        value = losses_of(value)[-1]  # type: ignore[index]
    elif not left:
        return
    found = {str(name): number_of(metric, metric) for name, metric in found.items()}
    kept: dict[str, object] = {
        name: metric
        for name, metric in found.items()
        if isinstance(metric, (int, float, str, type(None))) and len(str(metric)) <= LONGEST_METRIC
    }
    kept[VALUE_NAMES[0]] = number_of(value, describe(value))
    with open(file_name, "w", encoding="utf-8") as file:
        json.dump(kept, file)


def number_of(value: Any, otherwise: object) -> object:
    """Return a value as a float, if it is one number: Python's, NumPy's, PyTorch's or TensorFlow's.

    NumPy's `item` makes whole numbers of dates and durations, and 0 of what is masked; these are not numbers.
    """
    try:
        is_masked = type(value).__module__.startswith("numpy.ma") and value.mask.any()
        if is_masked or getattr(getattr(value, "dtype", None), "kind", "f") in "mM":
            return otherwise
        value = value.item() if hasattr(value, "item") else value
        return otherwise if value is None or isinstance(value, (bool, str, bytes)) else float(value)
    except Exception:
        return otherwise


def describe(value: object) -> str:
    """Return what a value that is not a number looks like."""
    try:
        return f"{repr(value)[:80]} ({type(value).__name__})"
    except Exception:
        return f"a {type(value).__name__}"


def losses_of(history: object) -> list[object] | tuple[object, ...] | None:
    """Return the validation losses of a Keras history, an object or a dict; None where there are none."""
    history = getattr(history, "history", history)
    losses = history.get("val_loss") if isinstance(history, dict) else None
    return losses if isinstance(losses, (list, tuple)) else None


def last_of_each(history: object) -> dict[str, object]:
    """Return the last value of everything that a Keras history holds; nothing of anything else."""
    history = getattr(history, "history", history)
    if not isinstance(history, dict):
        return {}
    return {name: values[-1] for name, values in history.items() if isinstance(values, (list, tuple)) and values}


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

    Such a process imports the main script again, from its path. Here it imports this file instead, which then
    runs the script with its hyperparameters there. Nothing is imported for it that the script does not import.
    """
    watched = "multiprocessing.spawn"

    def change(name: str) -> None:
        module: Any = sys.modules[name]
        original = module.get_preparation_data

        def get_preparation_data(name: str) -> dict[str, object]:
            data: dict[str, object] = original(name)
            if data.pop("init_main_from_name", None) or "init_main_from_path" in data:
                data["init_main_from_path"] = host
            return data

        module.get_preparation_data = get_preparation_data

    if watched in sys.modules:
        change(watched)
    else:
        AfterImport({watched}, change)


class AfterImport:
    """Calls a function with the name of each of these modules after its import, and perhaps one before it."""

    is_of_candle = True

    def __init__(
        self, names: set[str], after: Callable[[str], None], before: Callable[[str], None] | None = None
    ) -> None:
        self._names, self._after, self._before = set(names), after, before
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """Find one of the modules as the other finders do, and leave when it was the last."""
        if name not in self._names:
            return None
        self._names.remove(name)
        if not self._names:
            sys.meta_path.remove(self)
        for finder in [each for each in sys.meta_path if each is not self]:
            spec: Any = finder.find_spec(name, path, target)  # type: ignore[arg-type]
            if type(spec) is importlib.machinery.ModuleSpec:
                spec.__class__ = WatchedSpec
                spec.__dict__["after_import"] = self._after
                if self._before is not None:
                    self._before(name)
            if spec is not None:
                return spec
        return None


class WatchedSpec(importlib.machinery.ModuleSpec):
    """A specification that notices when Python says that the module's import is over; then it is an ordinary one."""

    @property
    def _initializing(self) -> bool:
        return bool(self.__dict__["_initializing"])

    @_initializing.setter
    def _initializing(self, value: bool) -> None:
        self.__dict__["_initializing"] = value
        if not value:
            after = self.__dict__.pop("after_import")
            self.__class__ = importlib.machinery.ModuleSpec  # type: ignore[assignment]
            if self.name in sys.modules:  # else it failed
                after(self.name)


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
