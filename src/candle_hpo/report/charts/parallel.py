"""All hyperparameters together: a line for each trial, across an axis for each."""

from __future__ import annotations

from itertools import zip_longest

from candle_hpo.core.objective import Direction
from candle_hpo.report.charts.axes import ASIDE, Spec, axis_of, scale_of, varying
from candle_hpo.report.page.data import PageData

_MOST_AXES = 20  # of the chart of all hyperparameters together
_NOT_SET = -0.12  # where trials without a hyperparameter are on an axis from 0 to 1

IN_RANGES = {"filter": {"param": "ranges"}}


def parallel_chart(data: PageData, scale: Spec) -> Spec:
    """Return a cell for each axis, with the lines to the next; a range drawn in a cell is one of its axis."""
    columns = varying(data)[:_MOST_AXES]
    shares = [(f"datum.c{place}", column.name, scale_of(column), axis_of(column)) for place, column in columns]
    shares.append(("datum.v", "objective", scale, {"tickCount": 5}))
    choices = [bool(column.choices) for _, column in columns]
    transforms = [
        {"calculate": _share(field, own, moved), "as": f"s{k}"}
        for k, ((field, _, own, _), moved) in enumerate(zip_longest(shares, choices))
    ]
    incomplete = [None in column.values for _, column in columns]
    cells = [
        _cell(k, _to_next(k, is_last=k == len(columns)), _lines(data, scale), _axis_alone(name, own, axis), missing)
        for k, ((_, name, own, axis), missing) in enumerate(zip_longest(shares, incomplete))
    ]
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


def _to_next(k: int, *, is_last: bool) -> Spec:
    """Return the encoding of a trial's line from this axis to the next."""
    return {
        "x": _across(0),
        "x2": {"datum": 1},
        "y": {"field": f"s{k}", "type": "quantitative", "scale": {"domain": [_NOT_SET, 1]}, "axis": None},
        **({} if is_last else {"y2": {"field": f"s{k + 1}"}}),
    }


def _lines(data: PageData, scale: Spec) -> Spec:
    """Return the marks of trials' lines, coloured by the objective."""
    many = len(data.drawn) > 1000
    of_value = {name: scale[name] for name in ("type", "domain", "clamp")}
    return {
        "transform": [IN_RANGES],
        "mark": {"type": "rule", "strokeOpacity": 0.22 if many else 0.6, "strokeWidth": 0.8},
        "encoding": {
            "color": {
                "field": "v",
                "type": "quantitative",
                "scale": {**of_value, "reverse": data.direction is Direction.MAXIMIZE},
                "legend": None,
            }
        },
    }


def _cell(k: int, to_next: Spec, lines: Spec, axis: Spec, missing: bool | None) -> Spec:
    """Return an axis with the lines to the next, and words where trials are `missing` on it; None: the last axis."""
    return {
        "height": 320,
        **({"width": 12} if missing is None else {}),
        "layer": [
            {"name": f"axis{k}", "mark": {"type": "rule", "style": "faint"}, "encoding": to_next},
            {**lines, "encoding": {**to_next, **lines["encoding"]}},
            axis,
            *([_WORDS_NOT_SET] if missing else []),
        ],
        "resolve": {"scale": {"y": "independent"}},
    }


def _share(field: str, scale: Spec, moved: bool) -> str:
    """Return the expression of a value's place between the ends of its axis, from 0 to 1."""
    low, high = scale["domain"]
    is_there = f"isValid({field})"
    if moved:
        field += f" + {ASIDE} * 0.3"
    if low == high:  # not all trials have it
        share = "0.5"
    elif scale.get("type") == "log":
        share = f"(log({field}) - log({low!r})) / (log({high!r}) - log({low!r}))"
    else:
        share = f"({field} - {low!r}) / {high - low!r}"
    return f"{is_there} ? clamp({share}, 0, 1) : {_NOT_SET}"


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
