"""Runs a model script as `python SCRIPT` would, with its hyperparameters there and its value taken.

This file runs in the user's interpreter, from Python 3.7 on, and needs nothing but the standard library:

    python [INTERPRETER ARGUMENTS] python_host.py SCRIPT

The hyperparameters come from the JSON file named by CANDLE_PARAMS_FILE; the value goes to the one named by
CANDLE_RESULT_FILE, as {"val_to_return": …}. A value that is not a number goes there as a text that shows it.
What the script reports on its way by `candle_report` is appended to the file named by CANDLE_REPORTS_FILE:
`python_value.py`.
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
    from typing import Any

HYPERPARAMETER_NAMES = ("hyperparams", "candle_params")
SCRIPT_VARIABLE = "CANDLE_MODEL_SCRIPT"
MODULE_VARIABLE = "CANDLE_MODEL_MODULE"  # the script's name as a module, where it is run as `python -m NAME` runs it
OBJECTIVE_VARIABLE = "CANDLE_OBJECTIVE"  # what is optimized, where the input file names it


def load(name: str) -> Any:
    """Return a file of this folder as a module that nobody else can import."""
    module = types.ModuleType(name)
    module.__file__ = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(module.__file__, "rb") as file:
        exec(compile(file.read(), module.__file__, "exec", dont_inherit=True), module.__dict__)
    return module


value, after_import = load("python_value.py"), load("after_import.py")


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
    objective = os.environ.pop(OBJECTIVE_VARIABLE, None)
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
            value.write_value(module.__dict__, result_file, objective)
        raise
    except BaseException as error:
        show(error, host, hyperparameters)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    if os.getpid() == me:
        value.write_value(module.__dict__, result_file, objective)


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
    namespace[value.candle_report.__name__] = value.candle_report
    return namespace


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
    leaves_a_value = any(name.encode() in text for name in value.VALUE_NAMES)
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
        for name, hyperparameter in hyperparameters.items():
            setattr(parameters, name, hyperparameter)
    returned = namespace["run"](parameters)
    namespace["history" if value.losses_of(returned) else value.VALUE_NAMES[0]] = returned


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
        after_import.AfterImport({watched}, change)


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
