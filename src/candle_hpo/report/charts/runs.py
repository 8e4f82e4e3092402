"""The charts of importance, and of what ran where, when and for how long."""

from __future__ import annotations

from candle_hpo.core.trial import Status
from candle_hpo.report.charts.axes import Spec, varying
from candle_hpo.report.charts.style import STATUS_LEGEND
from candle_hpo.report.charts.trials import TIP
from candle_hpo.report.page.data import STATUSES, PageData

_UNITS = ((4 * 86400, 86400, "days"), (3 * 3600, 3600, "h"), (180, 60, "min"), (0, 1, "s"))
_BINS = 40


def importance_chart(data: PageData) -> Spec:
    """Return a bar for each hyperparameter."""
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


def busy_chart(data: PageData) -> Spec:
    """Return how many workers were busy over the running time, and how many there were."""
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


def workers_chart(data: PageData) -> Spec:
    """Return a bar for each attempt, in the row of its worker."""
    divisor, _ = _unit(data.running_time)
    seen = [status for k, status in enumerate(STATUSES) if k in data.runs.status]
    legend = {**STATUS_LEGEND, "values": seen}
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
                "mark": {"type": "bar", "height": {"band": 0.9}, "minBandSize": 0.5, **TIP},
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


def durations_chart(data: PageData) -> Spec:
    """Return how often trials took how long."""
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
