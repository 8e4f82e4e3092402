"""How a report's charts and its page look: the colours by day and by night, and what they colour."""

from __future__ import annotations

from typing import Any

from candle_hpo.report.page.data import STATUSES

PAGE_FONT = 'system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif'
PRINT_FONT = "Arial, Helvetica, sans-serif"
# Of Okabe and Ito for the most part, which people with and without colour blindness can distinguish.
LIGHT = {
    "ground": "#fdfdfc",
    "panel": "#ffffff",
    "text": "#1d2328",
    "soft": "#5b6670",
    "rule": "#d9dde1",
    "grid": "#e9ecef",
    "best": "#b34700",
    "faint": "#b9c0c7",
    "link": "#00588a",
    "completed": "#0072b2",
    "failed": "#a8326b",
    "timed_out": "#e69f00",
    "out_of_memory": "#8a3ffc",
    "interrupted": "#8a949d",
    "stopped": "#b8860b",
    "running": "#009e73",
}
DARK = {
    "ground": "#14181c",
    "panel": "#1b2026",
    "text": "#e6e9ec",
    "soft": "#a2adb7",
    "rule": "#39424b",
    "grid": "#2a3138",
    "best": "#f0a35e",
    "faint": "#4a545d",
    "link": "#7cc4f0",
    "completed": "#56b4e9",
    "failed": "#e58bb4",
    "timed_out": "#e6b84d",
    "out_of_memory": "#b794ff",
    "interrupted": "#7d8790",
    "stopped": "#d9b45a",
    "running": "#35c498",
}
STATUS_LEGEND = {
    "orient": "top",
    "title": None,
    "labelExpr": "datum.label === 'stopped' ? 'stopped early' : replace(datum.label, regexp('_', 'g'), ' ')",
}
# Cividis (Nuñez, Anderton and Renslow, 2018), made to look alike to people with and without colour blindness.
_CIVIDIS = ("#00224e", "#123570", "#3c4d6e", "#576470", "#707b74", "#8b9177", "#a8a971", "#cac263", "#fee838")


def css(colours: dict[str, str]) -> str:
    """Return the colours as variables of a style sheet."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def config(colours: dict[str, str], font: str) -> dict[str, Any]:
    """Return Vega-Lite's configuration for these colours; the best values stand out from the ground."""
    soft = {"labelColor": colours["soft"], "titleColor": colours["text"], "labelFontSize": 11, "titleFontSize": 12}
    lines = {"gridColor": colours["grid"], "domainColor": colours["soft"], "tickColor": colours["soft"]}
    return {
        "background": None,
        "font": font,
        "view": {"stroke": None, "fill": "transparent"},  # what has a fill notices the pointer
        "axis": {**soft, **lines, "labelLimit": 180, "labelOverlap": True},
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False},
        "legend": soft,
        "title": {"color": colours["soft"], "font": font, "fontSize": 10, "fontWeight": "normal", "anchor": "end"},
        "range": {
            "category": [colours[status] for status in STATUSES],
            "ramp": list(_CIVIDIS[::-1] if colours is DARK else _CIVIDIS),
        },
        "style": {
            "trial": {"color": colours["completed"], "filled": True},
            "failed": {"color": colours["failed"], "filled": False, "strokeWidth": 1.2},
            "best": {"color": colours["best"], "filled": False, "strokeWidth": 2},
            "bar": {"color": colours["completed"]},
            "area": {"color": colours["completed"], "fillOpacity": 0.55},
            "faint": {"color": colours["faint"], "strokeOpacity": 0.35},
            "edge": {"color": colours["text"]},
            "words": {"color": colours["soft"]},
        },
    }
