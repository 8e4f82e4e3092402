"""What a model script hands over: what it reports on its way, and the value that it leaves at its end.

Read by `python_host.py`, in the user's interpreter.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VALUE_NAMES = ("val_to_return", "candle_value_to_return")
LONGEST_METRIC = 200  # characters


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


def write_value(namespace: dict[str, object], file_name: str, objective: str | None = None) -> None:
    """Write what the script left to a file, if it left a value; threads that Python would wait for may leave it yet.

    The value is a number, or a dict with `val_to_return`, or the `objective` by its name, and other metrics; those of a
    Keras history count, too. Its last `val_loss` is the value unless another objective is named, and a history that
    has none of that name says nothing against reports that may have it.
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
    is_named = False  # whether it is among others, by its own name
    if isinstance(value, dict) and VALUE_NAMES[0] in value:
        found.update(value)
        value = value[VALUE_NAMES[0]]
    elif objective in last_of_each(value) or (losses_of(value) and objective is not None):
        found.update(last_of_each(value))
        if not left and objective not in found and "file" in reporting:
            return
        is_named = True
    elif losses_of(value):
        found.update(last_of_each(value))
        value = losses_of(value)[-1]  # type: ignore[index]
    elif not left:
        return
    elif isinstance(value, dict) and any(number_of(metric, None) is not None for metric in value.values()):
        found.update(value)
        is_named = True
    found = {str(name): number_of(metric, metric) for name, metric in found.items()}
    kept: dict[str, object] = {
        name: metric
        for name, metric in found.items()
        if isinstance(metric, (int, float, str, type(None))) and len(str(metric)) <= LONGEST_METRIC
    }
    if not is_named:
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
