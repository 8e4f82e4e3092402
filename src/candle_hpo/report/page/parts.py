"""The parts of a report's page that need no script: sums, settings, the best sets, failures."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Hyperparameters, Status
from candle_hpo.launch.measuring.result import lines_that_explain
from candle_hpo.record.folder import Provenance, StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report.page.data import PageData
from candle_hpo.report.results import result_rows
from candle_hpo.report.savings import savings
from candle_hpo.report.script_versions import environment_lines
from candle_hpo.report.summary import failures_by_reason, status_text
from candle_hpo.report.words import count, cut_apart, duration, hyperparameters, number, number_texts, plain

_BEST = 10
_LONGEST_CELL = 80  # characters
_MOST_REASONS = 30
_MOST_IDS = 8  # of trials that failed for one reason
_LINES_OF_OUTPUT = 8


def element(tag: str, content: str, **attributes: str) -> str:
    """Return an element with this content, which is HTML already."""
    written = "".join(f' {name.rstrip("_")}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{content}</{tag}>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts."""
    head = "".join(element("th", html.escape(cell), scope="col") for cell in header)
    body = "".join(element("tr", "".join(element("td", html.escape(cell)) for cell in row)) for row in rows)
    content = element("thead", element("tr", head)) + element("tbody", body)
    return element("div", element("table", content), class_="scroll")


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and what they are."""
    rows = "".join(
        element("tr", element("th", html.escape(name), scope="row") + element("td", html.escape(value)))
        for name, value in pairs
    )
    return element("div", element("table", rows, class_="facts"), class_="scroll")


def sums(stored: StoredExperiment, history: History, data: PageData) -> str:
    """Return the few numbers that people look for first."""
    best = None if history.best is None else history.best.value
    worked = sum(data.runs.seconds)
    shown = [
        (
            f"best objective ({history.direction.value})",
            "none" if best is None or history.best is None else number(best),
            history.best.trial.id if history.best else "no trial has completed",
        ),
        (
            "trials",
            f"{history.counts[Status.COMPLETED]:,} completed",
            f"of {stored.trials(history):,}; {_what_else(history)}",
        ),
        ("running time", duration(data.running_time), count(len(data.campaigns), "run")),
        ("work", f"{worked / 3600:,.2f} worker-hours", f"of {count(len(data.workers), 'worker')}"),
        ("busy share of the workers", busy_share(data), "of the time that they were there"),
    ]
    if saved := savings(history, stored):
        shown.append(("steps not run", saved.percent, f"{saved.stopped:,} of {saved.ended:,} trials stopped early"))
    tiles = "".join(
        element(
            "div",
            element("dt", html.escape(name)) + element("dd", html.escape(value) + element("small", html.escape(more))),
        )
        for name, value, more in shown
    )
    return element("dl", tiles, class_="sums")


def _what_else(history: History) -> str:
    others = [each for each in Status if each is not Status.COMPLETED]
    parts = [status_text(each, history.counts[each]) for each in others if history.counts[each]] or ["none failed"]
    if history.running:
        parts.append(f"{len(history.running):,} running when this page was made")
    return ", ".join(parts)


def busy_share(data: PageData) -> str:
    """Return the share of the workers' time in which they ran trials, by the attempts that have ended."""
    ends = [began for began, _ in data.places[1:]] + [data.running_time]
    there = sum((end - began) * places for (began, places), end in zip(data.places, ends, strict=False))
    return f"{min(1.0, sum(data.runs.seconds) / there):.0%}" if there > 0 else "not known"


def best_sets(history: History, names: Sequence[str]) -> str:
    """Return the table of the best sets, with what varies."""
    rows = [row for row in result_rows(history)[:_BEST] if row.value is not None]
    if not rows:
        return element("p", "No trial has completed.")
    values = number_texts([row.value for row in rows if row.value is not None])
    columns = [_column([row.trial.hyperparameters for row in rows], name) for name in names]
    cells = (
        [
            value,
            row.trial.id,
            *(column[place] for column in columns),
            duration(row.outcome.seconds if row.outcome else 0.0),
        ]
        for place, (row, value) in enumerate(zip(rows, values, strict=True))
    )
    return table(["objective", "trial", *names, "duration"], cells)


def _column(sets: Sequence[Hyperparameters], name: str) -> list[str]:
    """Return the cells of a hyperparameter, with nothing for a set that does not have it."""
    texts = iter(cut_apart([plain(each[name]) for each in sets if name in each], _LONGEST_CELL))
    return [next(texts) if name in each else "" for each in sets]


def failures(history: History, paths: ExperimentPaths) -> str:
    """Return all failures, those of one reason together, with the end of the output of one of each."""
    kinds = failures_by_reason(history, named=_MOST_IDS)
    if not kinds:
        return element("p", "No trial has failed.")
    parts: list[str] = []
    for kind in kinds[:_MOST_REASONS]:
        ids = ", ".join(kind.ids) + (", …" if kind.amount > len(kind.ids) else "")
        parts.append(
            element("h3", html.escape(f"{status_text(kind.status, kind.amount)}: {kind.reason}"))
            + element("p", html.escape(ids), class_="soft")
        )
        lines = lines_that_explain(paths.trial(kind.first.trial.id).output, _LINES_OF_OUTPUT, kind.reason)
        if lines:
            parts.append(element("pre", html.escape("\n".join(lines))))
    if len(kinds) > _MOST_REASONS:
        others = sum(kind.amount for kind in kinds[_MOST_REASONS:])
        parts.append(
            element("p", f"… and {others:,} trials for {len(kinds) - _MOST_REASONS:,} more reasons; see the table")
        )
    return "".join(parts)


def what_was_run(stored: StoredExperiment, history: History, paths: ExperimentPaths) -> str:
    """Return where the experiment comes from and how it was set up: enough to run it again."""
    provenance, settings = stored.provenance, stored.settings
    hosts = dict.fromkeys(campaign.started.host for campaign in history.campaigns)
    jobs = dict.fromkeys(campaign.started.job for campaign in history.campaigns if campaign.started.job)
    pairs = [
        ("model script", settings.model_script),
        *_script_facts(provenance),
        ("interpreter", f"{stored.interpreter} ({provenance.interpreter or 'version not known'})"),
        ("workflow", f"{settings.workflow}, {settings.direction.value}"),
        ("hyperparameters varied", ", ".join(stored.names)),
        ("default hyperparameters", hyperparameters(stored.default_model, (), 2000) or "none"),
        ("seed", str(stored.seed)),
        ("settings beside the defaults", _changed(settings)),
        ("submitted", f"{provenance.created} by {provenance.user} on {provenance.host}"),
        ("from", provenance.directory),
        ("command", " ".join(provenance.command)),
        ("ran on", ", ".join(hosts) or "nothing yet"),
        ("GPUs", _gpus(stored, history)),
        ("jobs", ", ".join(jobs) or "none"),
        ("began", _clock(history.campaigns[0].started.time) if history.campaigns else "not yet"),
        ("last event", _clock(history.campaigns[-1].ended) if history.campaigns else "none"),
        ("candle", f"{provenance.candle} with Python {provenance.python}"),
        ("folder", str(paths.root)),
    ]
    text = paths.input_file.read_text(encoding="utf-8", errors="replace") if paths.input_file.is_file() else ""
    packages = "\n".join(f"{name} {version}" for name, version in stored.latest.packages.items())
    title = f"The {len(stored.latest.packages):,} packages of its interpreter"
    return (
        facts(pairs)
        + "".join(element("p", html.escape(line), class_="note") for line in environment_lines(stored))
        + (_details("The input file as submitted", text) if text else "")
        + (_details(title, packages) if packages else "")
    )


def _details(title: str, text: str) -> str:
    return element("details", element("summary", html.escape(title)) + element("pre", html.escape(text)))


def _script_facts(provenance: Provenance) -> list[tuple[str, str]]:
    """Return the script's SHA-256 and repository, and what could not be found out."""
    script, git = provenance.script, provenance.git
    found: list[tuple[str, str]] = []
    if script is not None:
        digest, *_ = script.files.values()
        beside = list(script.files)[1:]
        found.append(("its SHA-256", f"{digest} (version {script.version})"))
        if beside:
            found.append(("modules beside it", ", ".join(beside)))
    if git is not None:
        state = {
            True: ", with changes that are not in it",
            False: "",
            None: "; git did not say whether anything changed",
        }
        found.append(("its git commit", git.commit + state[git.dirty]))
    return found + [("not found out", text) for text in provenance.unknown]


def _gpus(stored: StoredExperiment, history: History) -> str:
    """Return the GPUs of the machines that ran campaigns, each kind once with its number on a machine."""
    seen = [campaign.started.gpus for campaign in history.campaigns if campaign.started.gpus] or [
        stored.provenance.gpus
    ]
    kinds = dict.fromkeys(f"{found.count(name)} x {name}" for found in seen for name in found)
    return ", ".join(kinds) or "none"


def _changed(settings: Settings) -> str:
    shown: Mapping[str, object] = msgspec.to_builtins(settings)
    defaults = {
        field.name: msgspec.to_builtins(field.default)
        for field in msgspec.structs.fields(settings)
        if field.default is not msgspec.NODEFAULT
    }
    apart = ("model_script", "workflow", "direction", "seed")
    changed = [
        f"{name}={plain(value)}" for name, value in shown.items() if name not in apart and value != defaults.get(name)
    ]
    return ", ".join(changed) or "none"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))
