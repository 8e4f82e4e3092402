"""The figures of a report for print, one file each; needs matplotlib (the extra `figures`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Status
from candle_hpo.record.history import History
from candle_hpo.report.extras import need
from candle_hpo.report.page.data import STATUSES, HyperparameterColumn, PageData, page_data
from candle_hpo.report.space import log_scales
from candle_hpo.report.words import cut_apart

DOTS_PER_INCH = 300
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "candle",  # the same figure is the same file
}
# Of Okabe and Ito, which people with and without colour blindness can distinguish.
_COLOURS = {
    Status.COMPLETED.value: "#0072b2",
    Status.FAILED.value: "#cc79a7",
    Status.TIMED_OUT.value: "#e69f00",
    Status.OUT_OF_MEMORY.value: "#000000",
    Status.INTERRUPTED.value: "#999999",
    Status.STOPPED.value: "#56b4e9",
}
_BEST_COLOUR = "#d55e00"
_MOST_AT_ONCE = 12  # hyperparameters in the figure of all
_MOST_NAMED = 30  # workers on an axis
_LONGEST_TICK = 14  # characters
_MOST_DRAWN = 2000  # marks, each a separate shape
_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def figures_of(paths: ExperimentPaths, history: History, names: Sequence[str], file_format: str) -> dict[str, bytes]:
    """Return the figures as files of this format (png, svg) by their names.

    Those of which there is nothing to show yet are left out. Raises `InputError` where matplotlib is not installed.
    """
    need("matplotlib", "matplotlib", f"a figure as {file_format.upper()}")
    import matplotlib as mpl

    name = paths.root.name
    data = page_data(name, history, names, log_scales(paths))
    makers: dict[str, Callable[[PageData], Any]] = {
        "objective": _objective,
        "hyperparameters": _hyperparameters,
        "importance": _importance,
        "workers": _workers,
    }
    metadata = {"Title": name, "Creator" if file_format == "svg" else "Software": "candle"}
    if file_format == "svg":
        metadata["Date"] = None  # type: ignore[assignment]
    files: dict[str, bytes] = {}
    with mpl.rc_context(_STYLE):
        for title, make in makers.items():
            figure = make(data)
            if figure is not None:
                file = io.BytesIO()
                figure.savefig(file, format=file_format, dpi=DOTS_PER_INCH, metadata=metadata)
                files[title] = file.getvalue()
    return files


def _new(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and looks for a screen

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _label(data: PageData) -> str:
    return f"objective ({'lower' if data.direction.value == 'minimize' else 'higher'} is better)"


def _objective(data: PageData) -> Any:
    completed = [(rank, data.value[place]) for rank, place in enumerate(data.order, start=1)]
    points = [(rank, value) for rank, value in completed if value is not None]
    if not points or data.range is None:
        return None
    figure, ((axes,),) = _new(6, 3.2)
    _dots(axes, points)
    best: list[tuple[int, float]] = []
    for rank, value in points:
        if data.direction.is_better(value, best[-1][1] if best else None):
            best.append((rank, value))
    axes.step(
        [*(rank for rank, _ in best), len(data.order)],
        [*(value for _, value in best), best[-1][1]],
        where="post",
        color=_BEST_COLOUR,
        linewidth=1.6,
        label="best so far",
    )
    _set_range(axes, data)
    axes.set_xlabel("trials ended")
    axes.set_ylabel(_label(data))
    axes.legend(frameon=False)
    _say_what_is_outside(figure, data)
    return figure


def _set_range(axes: Any, data: PageData) -> None:
    """Show the objective's range without the values far off."""
    if data.range is None:
        return
    low, high = data.range.shown_low, data.range.shown_high
    margin = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
    axes.set_ylim(low - margin, high + margin)


def _say_what_is_outside(figure: Any, data: PageData) -> None:
    if data.range is not None and data.range.outside:
        far_off = f"{data.range.outside:,} values far off are beyond the vertical axis"
        figure.suptitle(far_off, fontsize=7, x=0.99, ha="right", color="#666666")


def _varying(data: PageData) -> list[HyperparameterColumn]:
    varying = [column for column in data.hyperparameters if len(set(column.values)) > 1]
    return sorted(varying, key=lambda column: -(column.importance or 0.0))


def _hyperparameters(data: PageData) -> Any:
    columns = _varying(data)[:_MOST_AT_ONCE]
    if data.range is None or not columns:
        return None
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    figure, grid = _new(2.6 * across + 0.4, 2.4 * down, down, across)
    flat = [axes for row in grid for axes in row]
    for axes, column in zip(flat, columns, strict=False):
        points = [
            (_spread(value, place) if column.choices else value, data.value[place])
            for place, value in enumerate(column.values)
            if value is not None and data.value[place] is not None
        ]
        if points:
            _dots(axes, points)
        if column.choices:
            _name_choices(axes, column.choices)
        elif column.is_log:
            axes.set_xscale("log")
        axes.set_xlabel(column.name, parse_math=False)
        _set_range(axes, data)
    for row in grid:
        row[0].set_ylabel(_label(data))
    for axes in flat[len(columns) :]:
        axes.set_visible(False)
    _say_what_is_outside(figure, data)
    return figure


def _dots(axes: Any, points: Sequence[tuple[float, float | None]]) -> None:
    many = len(points) > _MOST_DRAWN  # then they are a picture, within an SVG too
    dots = {"color": _COLOURS["completed"], "markersize": 3, "alpha": 0.5, "rasterized": many}
    axes.plot(*zip(*points, strict=True), ".", **dots)


def _name_choices(axes: Any, choices: Sequence[str]) -> None:
    shown = cut_apart(choices, _LONGEST_TICK)
    axes.set_xticks(range(len(shown)), shown)
    for label in axes.get_xticklabels():
        label.set(parse_math=False, **({"rotation": 30, "ha": "right"} if len(shown) > 2 else {}))


def _spread(value: float, place: int) -> float:
    """Return a choice's place, moved aside by what looks random and never changes."""
    return value + ((place * 2654435761 % 2**32) / 2**32 - 0.5) * 0.5


def _importance(data: PageData) -> Any:
    columns = [column for column in reversed(_varying(data)) if column.importance is not None]
    if not columns:
        return None
    figure, ((axes,),) = _new(5, 0.6 + 0.28 * len(columns))
    shares = [100 * (column.importance or 0.0) for column in columns]
    bars = axes.barh([column.name for column in columns], shares, color=_COLOURS["completed"], height=0.7)
    axes.bar_label(bars, fmt="%.1f %%", padding=3, fontsize=8)
    axes.set_xlim(0, max(shares) * 1.15)
    axes.set_xlabel("share of the importance (%), by PED-ANOVA")
    axes.grid(visible=False, axis="y")
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    return figure


def _workers(data: PageData) -> Any:
    if not data.runs.trial:
        return None
    rows = len(data.workers)
    figure, ((axes,),) = _new(6, min(8.0, 1.2 + 0.22 * rows))
    divisor, unit = next(each for each in _UNITS if data.running_time > 2 * each[0] or each[0] == 1)
    spans: dict[tuple[int, int], list[tuple[float, float]]] = {}
    runs = zip(data.runs.worker, data.runs.status, data.runs.began, data.runs.seconds, strict=True)
    for worker, status, began, seconds in runs:
        spans.setdefault((worker, status), []).append((began / divisor, seconds / divisor))
    for (worker, status), bars in spans.items():
        colour = _COLOURS[STATUSES[status]]
        axes.broken_barh(
            bars,
            (worker - 0.42, 0.84),
            facecolors=colour,
            edgecolors="white",
            linewidth=0.2,
            rasterized=len(data.runs.trial) > _MOST_DRAWN,
        )
    for status in sorted({status for _, status in spans}):
        axes.bar([0], [0], color=_COLOURS[STATUSES[status]], label=STATUSES[status].replace("_", " "))
    every = -(-rows // _MOST_NAMED)
    axes.set_yticks(range(0, rows, every), data.workers[::every], fontsize=7)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.set_xlabel(f"running time ({unit})")
    axes.set_ylabel("worker")
    axes.legend(frameon=False, fontsize=7, ncols=5, loc="lower left", bbox_to_anchor=(0, 1))
    return figure
