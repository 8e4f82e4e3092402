"""Where a model's value is found: what it reported, a line of its output, or a file that it wrote."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.trial import Metrics
from candle_hpo.launch.measuring.number_texts import as_number, finite, shortened
from candle_hpo.launch.measuring.result_file import Measured, metrics_of, raise_if_the_machines, read_file, read_json
from candle_hpo.launch.measuring.result_pattern import ResultPattern

_MOST_BYTES = 1_000_000  # of a reported result; what is longer is none


class ResultSource(msgspec.Struct, frozen=True):
    """Where the value is: the last match of `pattern` in the output, or `key` in `file`; else what was reported.

    `objective` is its name among the metrics.
    """

    pattern: str | None = None
    file: str | None = None
    key: str | None = None
    objective: str = THE_VALUE

    @property
    def is_reported(self) -> bool:
        """Whether the model itself says what it measured, and it is not looked for."""
        return self.pattern is None and self.file is None


def measurement(
    source: ResultSource, folder: Path, reported: Path, output: Path, how_to_report: str
) -> Callable[[], tuple[Metrics, tuple[str, ...]]]:
    """Return the function that finds what a model measured, to be made before the model starts, and called after it.

    `folder` is where the model runs. The function returns notes on how the value was found, too; it raises `ValueError`
    with the reason where there is no finite number; a file that the model did not write in the meantime holds none.
    """
    before = _signature(folder / source.file) if source.file else None

    def measured() -> Measured:
        if source.pattern is not None:
            return ResultPattern(source.pattern).find(output)
        if source.file is None:
            return read_reported(reported, how_to_report)
        if _signature(folder / source.file) in (None, before):
            raise ValueError(f"it did not write the result_file {source.file} in the folder where it ran")
        return read_file(folder / source.file, source.key)

    def measure() -> tuple[Metrics, tuple[str, ...]]:
        value, others, notes = measured()
        return {**others, source.objective: value}, notes

    return measure


def _signature(file: Path) -> tuple[int, ...] | None:
    """Return what shows whether a file was written again; None for a file that is not there, or is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, and a device read for ever
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_reported(reported: Path, how_to_report: str) -> Measured:
    """Return what the model reported: a number, or an object with `val_to_return`.

    Raises `ValueError` with the reason where there is no finite number; `how_to_report` says how to leave one.
    """
    try:
        if not stat.S_ISREG(reported.stat().st_mode):  # a pipe would be waited for, and a device read for ever
            raise ValueError(f"{reported.name} is not a regular file")
        with reported.open("rb") as file:
            text = file.read(_MOST_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        raise ValueError(f"it ended without a value; {how_to_report}") from None
    except OSError as error:
        raise_if_the_machines(error)
        raise ValueError(f"{reported.name} cannot be read: {error.strerror}") from None
    found: object = as_number(text)
    if found is None:
        try:
            found = read_json(text)
        except ValueError:
            shown = f": {shortened(text)}" if text else ""
            raise ValueError(f"{reported.name} holds neither a number nor a JSON object{shown}") from None
    if not isinstance(found, dict):
        return Measured(finite(found, "val_to_return"), {})
    if "val_to_return" not in found:
        raise ValueError(f"{reported.name} holds no val_to_return")
    return Measured(finite(found.pop("val_to_return"), "val_to_return"), metrics_of(found))
