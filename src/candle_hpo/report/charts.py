"""The charts of a report, each described once, in Vega-Lite: a browser draws them on the page, `figures` for print.

A description names its rows (`trials`, `runs`), which the page's script and `rows_of` make of the same columns, and
its colours by styles, which are in `chart_style`. Hyperparameters are the fields `c0`, `c1`, …, since Vega-Lite takes
dots and brackets in the name of a field for a path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from statistics import median
from typing import Any

from candle_hpo.core.objective import Direction
from candle_hpo.core.trial import Status
from candle_hpo.report.page.data import STATUSES, HyperparameterColumn, PageData
from candle_hpo.report.words import cut_apart

Spec = dict[str, Any]

_MOST_AXES = 20  # of the chart of all hyperparameters together
_UNITS = ((4 * 86400, 86400, "days"), (3 * 3600, 3600, "h"), (180, 60, "min"), (0, 1, "s"))
_MOST_SLICES = 12  # in the figure of all hyperparameters
_BINS = 40
# Looks random and never changes: how far a choice's point is moved aside.
_ASIDE = "((datum.p * 2654435761 % 4294967296) / 4294967296 - 0.5)"
_NOT_SET = -0.12  # where trials without a hyperparameter are on an axis from 0 to 1
_TIP: Spec = {"tooltip": {"content": "data"}}
_NEAREST: Spec = {
    "name": "near",
    "select": {"type": "point", "on": "pointerover", "clear": "pointerout", "nearest": True, "fields": ["p"]},
}

_IN_RANGES = {"filter": {"param": "ranges"}}


def rows_of(data: PageData) -> dict[str, list[dict[str, object]]]:
    """Return the rows that the charts are about."""
    rank = {place: number for number, place in enumerate(data.order, 1)}
    columns = {f"c{k}": column.values for k, column in enumerate(data.hyperparameters)}
    runs = data.runs
    return {
        "trials": [
            {"p": place, "n": rank[place], "v": data.value[place], **{c: v[place] for c, v in columns.items()}}
            for place in data.drawn
        ],
        "runs": [
            {
                "worker": data.workers[worker],
                "status": STATUSES[status],
                "from": began,
                "to": began + seconds,
            }
            for worker, status, began, seconds in zip(runs.worker, runs.status, runs.began, runs.seconds, strict=True)
        ],
    }


def objective_scales(data: PageData) -> dict[str, Spec]:
    """Return the vertical axes to choose from: without the values far off, with all of them, logarithmic."""
    if data.range is None:
        return {}
    fixed: Spec = {"nice": False, "clamp": True, "padding": 10}
    scales: dict[str, Spec] = {}
    if data.range.outside:
        scales["best"] = {
            **fixed,
            "type": "linear",
            "zero": False,
            "domain": _apart(data.range.shown_low, data.range.shown_high),
        }
    scales["all"] = {**fixed, "type": "linear", "zero": False, "domain": _apart(data.range.low, data.range.high)}
    if data.range.low > 0:
        scales["log"] = {**fixed, "type": "log", "domain": _apart(data.range.low, data.range.high)}
    return scales


def _apart(low: float, high: float) -> list[float]:
    margin = 0 if low < high else 0.5 * abs(low) or 0.5
    return [low - margin, high + margin]


def varying(data: PageData) -> list[tuple[int, HyperparameterColumn]]:
    """Return the hyperparameters that are not the same everywhere, with their places; the most important first."""
    columns = [(k, column) for k, column in enumerate(data.hyperparameters) if len(set(column.values)) > 1]
    return sorted(columns, key=lambda each: -(each[1].importance or 0.0))


def objective_charts(data: PageData, scale: Spec) -> dict[str, Spec]:
    """Return the charts that have the objective on an axis, which is this one."""
    y = {"field": "v", "type": "quantitative", "scale": scale, "axis": {"title": _label(data), "tickCount": 6}}
    charts = {"history": _history(data, y)}
    for place, column in varying(data):
        charts[f"slice-{place}"] = _slice(data, y, place, column)
    if varying(data):
        charts["parallel"] = _parallel(data, scale)
    return charts


def other_charts(data: PageData) -> dict[str, Spec]:
    """Return the charts of importance, workers and durations, without those that would show nothing yet."""
    charts: dict[str, Spec] = {}
    if any(column.importance is not None for _, column in varying(data)):
        charts["importance"] = _importance(data)
    if data.runs.trial:
        charts |= {"busy": _busy(data), "workers": _workers(data)}
    if data.order and any(value is not None for value in data.value):
        charts["durations"] = _durations(data)
    return charts


def _label(data: PageData) -> str:
    return f"objective ({'lower' if data.direction is Direction.MINIMIZE else 'higher'} is better)"


def _points(data: PageData, x: Spec, y: Spec) -> list[Spec]:
    """Return layers: trials without a value on the axis, the others, those beyond the axis at its edge, the best."""
    many = len(data.drawn) > 300
    size, opacity = (16, 0.5) if many else (34, 0.75)
    low, high = y["scale"]["domain"]
    around: Spec = {"x": x, "y": y}
    return [
        {
            "transform": [{"filter": "!isValid(datum.v)"}],
            "mark": {
                "type": "point",
                "style": "failed",
                "shape": "M-.5,-.5L.5,.5M-.5,.5L.5,-.5",
                "size": 40,
                "yOffset": -4,
                "strokeOpacity": opacity,
                **_TIP,
            },
            "encoding": {"x": x, "y": {"value": "height"}},
        },
        {
            "transform": [{"filter": "isValid(datum.v)"}],
            "params": [_NEAREST],
            "mark": {"type": "circle", "style": "trial", "size": size, "fillOpacity": opacity, **_TIP},
            "encoding": around,
        },
        *(
            {
                "transform": [{"filter": f"isValid(datum.v) && datum.v {beyond}"}],
                "mark": {"type": "point", "style": "trial", "shape": shape, "size": 50} | _TIP,
                "encoding": around,
            }
            for shape, beyond in (("triangle-up", f"> {high!r}"), ("triangle-down", f"< {low!r}"))
        ),
        {
            "transform": [{"filter": f"datum.p === {data.best}"}],
            "mark": {"type": "point", "style": "best", "size": 130},
            "encoding": around,
        },
    ]


def _history(data: PageData, y: Spec) -> Spec:
    last = len(data.order)
    x = {
        "field": "n",
        "type": "quantitative",
        "scale": {"domain": [0, last + 1], "nice": False},
        "axis": {"title": "trials ended"},
    }
    so_far: list[dict[str, float]] = []
    for number, place in enumerate(data.order, 1):
        value = data.value[place]
        if value is not None and data.direction.is_better(value, so_far[-1]["v"] if so_far else None):
            so_far.append({"n": number, "v": value})
    best = {
        "data": {"values": [*so_far, *({**each, "n": last} for each in so_far[-1:])]},
        "mark": {"type": "line", "style": "best", "interpolate": "step-after"},
        "encoding": {"x": x, "y": y},
    }
    return {
        "description": "Objective of each trial in the order in which they ended, and the best so far",
        "data": {"name": "trials"},
        "width": "container",
        "height": 280,
        "layer": [*_points(data, x, y), best],
    }


def _slice(data: PageData, y: Spec, place: int, column: HyperparameterColumn) -> Spec:
    completed = [(column.values[trial], data.value[trial]) for trial in data.order if data.value[trial] is not None]
    missing = sum(value is None for value, _ in completed)
    title = column.name + (" (logarithmic)" if column.is_log else "")
    title += f"; {missing:,} trials do not have it" if missing else ""
    x = {"field": "x", "type": "quantitative", "scale": _scale(column), "axis": {**_axis(column), "title": title}}
    layers = _points(data, x, y)
    if column.choices:
        groups = [
            (choice, [value for of, value in completed if of == choice and value is not None])
            for choice in range(len(column.choices))
        ]
        medians = [{"x": choice, "v": median(values)} for choice, values in groups if values]
        bar = {"type": "tick", "orient": "horizontal", "style": "edge", "thickness": 2, "size": 40}
        layers.append({"data": {"values": medians}, "mark": bar, "encoding": {"x": x, "y": y}})
    return {
        "description": f"Objective against {column.name}",
        "data": {"name": "trials"},
        "transform": [
            {"filter": f"isValid(datum.c{place})"},
            {"calculate": f"datum.c{place}" + (f" + {_ASIDE} * 0.6" if column.choices else ""), "as": "x"},
        ],
        "width": "container",
        "height": 200,
        "layer": layers,
    }


def _scale(column: HyperparameterColumn) -> Spec:
    if column.choices:
        return {"domain": [-0.5, len(column.choices) - 0.5], "nice": False}
    values = [value for value in column.values if value is not None]
    kind: Spec = {"type": "log"} if column.is_log else {"type": "linear", "zero": False}
    return {**kind, "domain": [min(values), max(values)], "nice": False, "padding": 8}


def _axis(column: HyperparameterColumn) -> Spec:
    if column.choices:
        texts = json.dumps(cut_apart(column.choices, 16))
        turned: Spec = {"labelAngle": -30} if len(column.choices) > 3 else {}
        turned["labelOverlap"] = len(column.choices) > 16
        return {"values": list(range(len(column.choices))), "labelExpr": f"{texts}[datum.value]", **turned}
    different = sorted({value for value in column.values if value is not None})
    few: Spec = {"values": different} if len(different) <= 8 else {"tickCount": 5}
    return {**few, "format": "~r" if len(different) <= 8 else "~g"}


def _parallel(data: PageData, scale: Spec) -> Spec:
    """Return a cell for each axis, with the lines to the next; a range drawn in a cell is one of its axis."""
    columns = varying(data)[:_MOST_AXES]
    shares = [(f"datum.c{place}", column.name, _scale(column), _axis(column)) for place, column in columns]
    shares.append(("datum.v", "objective", scale, {"tickCount": 5}))
    choices = [bool(column.choices) for _, column in columns]
    transforms = [
        {"calculate": _share(field, own, moved), "as": f"s{k}"}
        for k, ((field, _, own, _), moved) in enumerate(zip_longest(shares, choices))
    ]
    many = len(data.drawn) > 1000
    colour = {
        "field": "v",
        "type": "quantitative",
        "scale": {
            **{name: scale[name] for name in ("type", "domain", "clamp")},
            "reverse": data.direction is Direction.MAXIMIZE,
        },
        "legend": None,
    }
    cells: list[Spec] = []
    incomplete = [None in column.values for _, column in columns]
    for k, ((_, name, own, axis), missing) in enumerate(zip_longest(shares, incomplete)):
        last = k == len(columns)
        encoding: Spec = {
            "x": _across(0),
            "x2": {"datum": 1},
            "y": {"field": f"s{k}", "type": "quantitative", "scale": {"domain": [_NOT_SET, 1]}, "axis": None},
            **({} if last else {"y2": {"field": f"s{k + 1}"}}),
        }
        chosen: Spec = {"transform": [_IN_RANGES]}
        line: Spec = {"type": "rule", "strokeOpacity": 0.22 if many else 0.6, "strokeWidth": 0.8}
        cells.append(
            {
                "height": 320,
                **({"width": 12} if last else {}),
                "layer": [
                    {"name": f"axis{k}", "mark": {"type": "rule", "style": "faint"}, "encoding": encoding},
                    {**chosen, "mark": line, "encoding": {**encoding, "color": colour}},
                    _axis_alone(name, own, axis),
                    *([_WORDS_NOT_SET] if missing else []),
                ],
                "resolve": {"scale": {"y": "independent"}},
            }
        )
    brush = {"type": "interval", "encodings": ["y"], "resolve": "intersect"}
    return {
        "description": "Parallel coordinates: hyperparameters of each trial, coloured by the objective",
        "data": {"name": "trials"},
        "transform": [{"filter": "isValid(datum.v)"}, *transforms],
        "params": [{"name": "ranges", "select": brush, "views": [f"axis{k}" for k in range(len(shares))]}],
        "hconcat": cells,
        "spacing": 0,
        "bounds": "flush",
        "resolve": {"scale": {"color": "shared"}},
    }


def _share(field: str, scale: Spec, moved: bool) -> str:
    """Return the expression of a value's place between the ends of its axis, from 0 to 1."""
    low, high = scale["domain"]
    if moved:
        field += f" + {_ASIDE} * 0.3"
    if scale.get("type") == "log":
        share = f"(log({field}) - log({low!r})) / (log({high!r}) - log({low!r}))"
    else:
        share = f"({field} - {low!r}) / {high - low!r}"
    return f"isValid({field}) ? clamp({share}, 0, 1) : {_NOT_SET}"


def _across(share: float) -> Spec:
    return {"datum": share, "type": "quantitative", "axis": None, "scale": {"domain": [0, 1], "nice": False}}


_WORDS_NOT_SET: Spec = {
    "data": {"values": [{}]},
    "mark": {"type": "text", "text": "not set", "style": "words", "dy": 12, "baseline": "middle"},
    "encoding": {"x": _across(0), "y": {"value": "height"}},
}


def _axis_alone(name: str, scale: Spec, axis: Spec) -> Spec:
    """Return a layer that shows nothing but an axis, which ends above the place of what is not set."""
    above: Spec = {"titleAngle": 0, "titleAlign": "center", "titleX": 0, "titleY": -16, "titleLimit": 115}
    inside: Spec = {"labelAlign": "left", "labelPadding": -5, "labelAngle": 0, "labelLimit": 90, "zindex": 1}
    lines: Spec = {"title": name, "grid": False, "domain": True, "ticks": True, "tickSize": 3}
    own: Spec = {name: scale[name] for name in ("type", "domain", "nice", "zero") if name in scale}
    y = {
        "datum": scale["domain"][0],
        "type": "quantitative",
        "scale": {**own, "range": [{"expr": f"height / {1 - _NOT_SET}"}, 0]},
        "axis": {**axis, **lines, **above, **inside},
    }
    return {"data": {"values": [{}]}, "mark": {"type": "point", "opacity": 0}, "encoding": {"x": _across(0), "y": y}}


def _importance(data: PageData) -> Spec:
    shares = [{"name": c.name, "share": c.importance} for _, c in varying(data) if c.importance is not None]
    names = {"labelLimit": 200, "title": None}
    words = {"type": "text", "style": "words", "align": "left", "dx": 5}
    return {
        "description": "Importance of each hyperparameter",
        "data": {"values": shares},
        "width": "container",
        "height": 24 * len(shares),
        "encoding": {
            "y": {"field": "name", "type": "nominal", "sort": None, "axis": names},
            "x": {
                "field": "share",
                "type": "quantitative",
                "axis": {"title": "share of the importance", "format": "%", "tickCount": 6},
            },
        },
        "layer": [
            {"mark": {"type": "bar", "style": "bar"}},
            {"mark": words, "encoding": {"text": {"field": "share", "format": ".1%"}}},
        ],
    }


def _unit(seconds: float) -> tuple[int, str]:
    return next((divisor, name) for least, divisor, name in _UNITS if seconds >= least)


def _time(data: PageData, field: str) -> Spec:
    divisor, name = _unit(data.running_time)
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": [0, max(data.running_time, 1e-3) / divisor], "nice": False},
        "axis": {"title": f"running time ({name})"},
    }


def _busy(data: PageData) -> Spec:
    divisor, _ = _unit(data.running_time)
    ends = [*(began for began, _ in data.places[1:]), data.running_time]
    there = [
        {"from": began / divisor, "to": end / divisor, "workers": workers}
        for (began, workers), end in zip(data.places, ends, strict=False)
    ]
    change = {"calculate": "datum.end === 'from' ? 1 : -1", "as": "change"}
    running = {
        "sort": [{"field": "time"}, {"field": "change"}],
        "window": [{"op": "sum", "field": "change", "as": "busy"}],
    }
    return {
        "description": "Busy workers over the running time",
        "width": "container",
        "height": 150,
        "layer": [
            {
                "data": {"name": "runs"},
                "transform": [
                    {"fold": ["from", "to"], "as": ["end", "time"]},
                    change,
                    running,
                    {"calculate": f"datum.time / {divisor}", "as": "t"},
                ],
                "mark": {"type": "area", "interpolate": "step-after", "style": "area"},
                "encoding": {
                    "x": _time(data, "t"),
                    "y": {
                        "field": "busy",
                        "type": "quantitative",
                        "axis": {"title": "busy workers", "tickCount": 4, "tickMinStep": 1},
                    },
                },
            },
            {
                "data": {"values": there},
                "mark": {"type": "rule", "style": "edge", "strokeDash": [5, 4]},
                "encoding": {
                    "x": _time(data, "from"),
                    "x2": {"field": "to"},
                    "y": {"field": "workers", "type": "quantitative"},
                },
            },
        ],
    }


def _workers(data: PageData) -> Spec:
    divisor, _ = _unit(data.running_time)
    seen = [status for k, status in enumerate(STATUSES) if k in data.runs.status]
    legend = {
        "orient": "top",
        "title": None,
        "values": seen,
        "labelExpr": "replace(datum.label, regexp('_', 'g'), ' ')",
    }
    colour = {"field": "status", "type": "nominal", "scale": {"domain": list(STATUSES)}, "legend": legend}
    starts = [{"x": began / divisor} for began in data.campaigns[1:]]
    return {
        "description": "What each worker ran over the running time",
        "width": "container",
        "height": len(data.workers) * min(20, max(1, 560 // len(data.workers))),
        "layer": [
            {
                "data": {"name": "runs"},
                "transform": [
                    {"calculate": f"datum.{name} / {divisor}", "as": f"{name}_there"} for name in ("from", "to")
                ],
                "mark": {"type": "bar", "height": {"band": 0.9}, "minBandSize": 0.5, **_TIP},
                "encoding": {
                    "x": _time(data, "from_there"),
                    "x2": {"field": "to_there"},
                    "y": {
                        "field": "worker",
                        "type": "nominal",
                        "scale": {"domain": list(data.workers)},
                        "axis": {"title": "worker"},
                    },
                    "color": colour,
                },
            },
            {
                "data": {"values": starts},
                "mark": {"type": "rule", "style": "edge"},
                "encoding": {"x": _time(data, "x")},
            },
        ],
    }


def _durations(data: PageData) -> Spec:
    completed = STATUSES.index(Status.COMPLETED.value)
    seconds = [s for s, status in zip(data.seconds, data.status, strict=True) if status == completed and s is not None]
    divisor, name = _unit(max(seconds))
    return {
        "description": "Durations of completed trials",
        "data": {"values": [{"t": round(each / divisor, 4)} for each in seconds]},
        "width": "container",
        "height": 180,
        "mark": {"type": "bar", "style": "bar"},
        "encoding": {
            "x": {
                "field": "t",
                "type": "quantitative",
                "bin": {"maxbins": min(_BINS, max(5, round(len(seconds) ** 0.5)))},
                "axis": {"title": f"duration of a trial ({name})"},
            },
            "y": {"aggregate": "count", "axis": {"title": "completed trials", "tickMinStep": 1}},
        },
    }


def for_print(data: PageData) -> Iterator[tuple[str, Spec]]:
    """Return the charts by their names as figures stand alone; those of the hyperparameters are one."""
    charts = other_charts(data)
    for scale in list(objective_scales(data).values())[:1]:
        of_objective = objective_charts(data, scale)
        charts["objective"] = of_objective["history"]
        slices = [each for name, each in of_objective.items() if name.startswith("slice-")][:_MOST_SLICES]
        if slices:
            small = [{**each, "width": 175, "height": 150} for each in slices]
            charts["hyperparameters"] = {"concat": small, "columns": 3}
    far_off = data.range.outside if data.range else 0
    note = f"{far_off:,} values far off are beyond the vertical axis"
    for name, chart in charts.items():
        titled = {"title": note} if far_off and name in ("objective", "hyperparameters") else {}
        yield name, _still({**chart, **titled, **({"width": 480} if "width" in chart else {})})


def _still(part: Any) -> Any:
    """Return a description without what answers to a pointer, which would be invisible marks in a figure."""
    if isinstance(part, dict):
        return {name: _still(each) for name, each in part.items() if name not in ("params", "tooltip")}
    return [_still(each) for each in part if each != _IN_RANGES] if isinstance(part, list) else part
