"""An experiment as one HTML file that needs nothing else: no network, no other file, no program but a browser."""

from __future__ import annotations

import html
import string
from functools import cache
from importlib.resources import files

import msgspec
import vl_convert

from candle_hpo import __version__
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report.charts.axes import Spec, objective_scales, scales_of, varying
from candle_hpo.report.charts.charts import objective_charts, other_charts
from candle_hpo.report.charts.curves import curve_charts, drawing_order, step_scales
from candle_hpo.report.charts.style import DARK, LIGHT, PAGE_FONT, config, css
from candle_hpo.report.curves import curves_of
from candle_hpo.report.importance import FEWEST_TRIALS
from candle_hpo.report.page.data import CurveColumns, PageData, ValueRange, page_data
from candle_hpo.report.page.parts import best_sets, element, failures, sums, what_was_run
from candle_hpo.report.script_versions import script_version_lines
from candle_hpo.report.space import log_scales
from candle_hpo.report.summary import note_on_one_value

# In the order in which they are put together: each uses what is above it.
_SCRIPTS = ("base.js", "charts.js", "table.js")

_ABOUT_IMPORTANCE = (
    "How much each hyperparameter matters for a trial to be among the best tenth (at least the best five), as "
    "shares of 100 %. By PED-ANOVA of Optuna, which compares the values of the best trials with those of all; it "
    "says nothing of what hyperparameters do together."
)
_NO_IMPORTANCE = f"Importance needs at least {FEWEST_TRIALS} completed trials that differ in their hyperparameters."


def report_page(paths: ExperimentPaths, stored: StoredExperiment, history: History) -> str:
    """Return the page, as HTML, of what an experiment has come to so far."""
    data = page_data(paths.root.name, history, stored.names, log_scales(paths), curves_of(paths, history))
    of_objective = {name: objective_charts(data, scale) for name, scale in objective_scales(data).items()}
    others = other_charts(data)
    shown = msgspec.to_builtins(data) | {
        "objective_charts": of_objective,
        "other_charts": others,
        "curve_charts": curve_charts(data),
        "curve_order": drawing_order(data, data.curves) if data.curves else [],
        "looks": {"light": config(LIGHT, PAGE_FONT), "dark": config(DARK, PAGE_FONT)},
    }
    template = string.Template(_asset("template.html"))
    return template.substitute(
        title=html.escape(f"{data.name}: {location_name(stored)}"),
        version=__version__,
        style=string.Template(_asset("style.css")).substitute(light=css(LIGHT), dark=css(DARK)),
        body=_body(paths, stored, history, data, others),
        # "<" could end the element that holds the data, whatever a hyperparameter's text is.
        data=msgspec.json.encode(shown).decode().replace("<", "\\u003c"),
        vega=_vega(),
        script="\n".join(map(_asset, _SCRIPTS)),
    )


def location_name(stored: StoredExperiment) -> str:
    """Return the name of the input file, by which people know an experiment."""
    return stored.input_file.rpartition("/")[2]


@cache
def _vega() -> str:
    """Return the JavaScript that draws, which takes a moment to put together and never changes."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _asset(name: str) -> str:
    return files("candle_hpo.report.page").joinpath(name).read_text(encoding="utf-8")


def _body(
    paths: ExperimentPaths, stored: StoredExperiment, history: History, data: PageData, others: dict[str, Spec]
) -> str:
    sections: list[tuple[str, str, str]] = [
        ("best", "Best sets", best_sets(history, stored.names)),
        ("objective", "Objective", _objective(data)),
        *([("learning", "Learning curves", _curves(data.curves))] if data.curves else []),
        (
            "importance-of",
            "Importance of hyperparameters",
            _text(_ABOUT_IMPORTANCE) + _figure("importance") if "importance" in others else _text(_NO_IMPORTANCE),
        ),
        ("hyperparameters", "Each hyperparameter against the objective", _slices(data)),
        ("together", "All hyperparameters together", _parallel(data)),
        ("used", "Workers and durations", _workers(others)),
        ("failures", f"Failures ({len(history.with_failure):,})", failures(history, paths)),
        ("trials", f"All trials ({len(data.ids):,})", _TABLE),
        ("run", "What was run", what_was_run(stored, history, paths)),
    ]
    links = element("nav", "".join(element("a", html.escape(title), href=f"#{name}") for name, title, _ in sections))
    script = stored.settings.model_script.rpartition("/")[2]
    head = element("h1", html.escape(f"{data.name} of {location_name(stored)}")) + _text(
        f"{stored.settings.workflow} search of {script}, submitted on {stored.provenance.created[:10]}; "
        f"page by candle {__version__}"
    )
    noscript = element(
        "noscript", element("p", "The charts and the table need JavaScript, which is switched off here.")
    )
    parts = (
        element("section", element("h2", html.escape(title)) + content, id=name) for name, title, content in sections
    )
    noted = [note_on_one_value(history, stored.latest.unread), "\n".join(script_version_lines(history, stored))]
    notes = "".join(element("p", html.escape(note), class_="note") for note in noted if note)
    return head + sums(stored, history, data) + notes + links + noscript + "".join(parts)


def _text(words: str) -> str:
    return element("p", html.escape(words), class_="soft")


def _figure(name: str, class_: str = "") -> str:
    return element("figure", element("div", "", id=name), class_=class_)


def _objective(data: PageData) -> str:
    if data.range is None:
        return _text("No trial has completed yet, so there is no objective to show.")
    select = _choice("Vertical axis", "value-axis", _axes_of(data.range))
    about = (
        "Each point is a completed trial, the line the best so far, a cross on the axis a trial without a value"
        + (", a triangle at the edge a value beyond the axis" if data.range.outside else "")
        + ". Point at one to see it, click to find it in the table."
    )
    few = len(data.order) - len(data.drawn)
    left_out = (
        f" The charts of trials show {len(data.drawn):,} of {len(data.order):,}, the best among them." if few else ""
    )
    return element("div", select, class_="bar-above") + _text(about + left_out) + _figure("history")


def _axes_of(shown: ValueRange) -> dict[str, str]:
    """Return the axes of values to choose from, by their names in `scales_of`."""
    words = {"best": f"without the {shown.outside:,} values far off", "all": "all values", "log": "logarithmic"}
    return {name: words[name] for name in scales_of(shown)}


def _choice(title: str, name: str, options: dict[str, str]) -> str:
    choices = "".join(element("option", html.escape(text), value=value) for value, text in options.items())
    return element("label", f"{title}: " + element("select", choices, id=name))


def _curves(curves: CurveColumns) -> str:
    words = {"linear": "linear", "log": "logarithmic"}
    selects = _choice("Vertical axis", "curve-axis", _axes_of(curves.range)) + _choice(
        "Steps", "step-axis", {name: words[name] for name in step_scales(curves)}
    )
    about = (
        "Each line is a trial, with what it reported on its way. Those that were stopped early are faint, one that ran "
        "when this page was made ends with a dot, and the thick line is the best. Point at one to see it, click to "
        "find it in the table."
    )
    left_out = f" {curves.left_out:,} more trials reported, and are not in the chart." if curves.left_out else ""
    return element("div", selects, class_="bar-above") + _text(about + left_out) + _figure("curves")


def _slices(data: PageData) -> str:
    if data.range is None:
        return _text("No trial has completed yet.")
    constant = [column.name for column in data.hyperparameters if len(set(column.values)) < 2]
    same = f" Not shown, as it never changes: {', '.join(constant)}." if constant else ""
    about = "The most important first. The ring is the best trial, a bar the median of a choice." + same
    figures = "".join(_figure(f"slice-{place}") for place, _ in varying(data))
    return _text(about) + element("div", figures, class_="slices")


def _parallel(data: PageData) -> str:
    if data.range is None or not varying(data):
        return _text("There is nothing to compare yet.")
    return _text(
        "Each line is a completed trial, in the colour of its objective at the right. "
        "Draw along an axis, at its right, to choose a range of it; click there to let it go."
    ) + _figure("parallel", "wide")


def _workers(others: dict[str, Spec]) -> str:
    if "busy" not in others:
        return _text("No trial has ended yet.")
    return (
        element("h3", "Busy workers")
        + _text("Dashed: how many workers there were. Trials that still run are not in it.")
        + _figure("busy")
        + element("h3", "What each worker ran")
        + _figure("workers")
        + (element("h3", "Durations") + _figure("durations") if "durations" in others else "")
    )


_TABLE = (
    '<div class="bar-above"><label for="words">Rows with the words</label>'
    '<input id="words" type="search" placeholder="for instance: adam failed">'
    '<span id="table-count" aria-live="polite"></span>'
    '<button type="button" id="previous">Previous 100</button><button type="button" id="next">Next 100</button></div>'
    '<div class="scroll"><table id="table"></table></div>'
)
