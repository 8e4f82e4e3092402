"""The live view of a running experiment: one page, as wide and as high as the terminal is."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Mapping, Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.curves import Point
from candle_hpo.report.progress import counts_text, seconds_left
from candle_hpo.report.script_versions import script_version_lines
from candle_hpo.report.summary import best_line, failures_by_reason, furthest_step, note_on_one_value
from candle_hpo.report.words import count, duration, hyperparameter_lines, number, ordinal, step_text

_WITH_OUTPUT = 110  # columns, from which on the last line of each trial's output has room
_LEVELS = "▁▂▃▄▅▆▇█"
_NOT_A_NUMBER = "!"
_LEAST_POINTS, _MOST_POINTS = 10, 20  # of a running trial's spark line, on a narrow terminal and on a wide one
_MOST_KINDS = 4
_MOST_VERSIONS = 5  # lines on versions of the script
_FEWEST_RUNNING = 3  # lines for running trials, however low the terminal is


class Frame(msgspec.Struct, frozen=True):
    """What a picture is made for: the terminal's size, the clock (seconds since 1970), and texts from elsewhere.

    `state` says where the experiment runs, `hint` what is missing. By the ids of running trials, `outputs` are the last
    lines that they printed, and `curves` what they reported last.
    """

    width: int
    height: int
    now: float
    title: str
    state: str
    outputs: Mapping[str, str] = {}
    curves: Mapping[str, Sequence[Point]] = {}
    hint: str = ""

    @property
    def shows_output(self) -> bool:
        """Whether the last line of each trial's output has room."""
        return self.width >= _WITH_OUTPUT


def live_page(history: History, stored: StoredExperiment, frame: Frame) -> Group:
    """Return the page of this moment; no line of it is wider than the frame, and it has at most as many lines."""
    names, total = stored.names, stored.trials(history)
    head = [*_head(history, names, total, frame), Text()]
    foot = [
        *_note(note_on_one_value(history, stored.latest.unread), frame),
        *_note(frame.hint, frame),
        *(_line(line, frame) for line in script_version_lines(history, stored)[:_MOST_VERSIONS]),
        *_failures(history, frame),
        *_nodes(history, frame),
        _line("q leaves, the experiment continues; candle logs TRIAL shows what a trial printed", frame, "dim"),
    ]
    room = max(_FEWEST_RUNNING, frame.height - len(head) - len(foot) - 3)
    return Group(*head, *_running(history, names, frame, room), Text(), *foot)


def trials_on_page(history: History, frame: Frame) -> list[TrialHistory]:
    """Return the running trials that a page of this height can show, the longest first."""
    return sorted(history.running.values(), key=lambda trial: trial.started)[: frame.height]


def _line(text: str, frame: Frame, style: str = "") -> Text:
    shown = text if len(text) <= frame.width - 1 else text[: frame.width - 2] + "…"
    return Text(shown, style=style, no_wrap=True, overflow="ellipsis")


def _note(text: str, frame: Frame) -> list[Text]:
    """Return a note on as many lines as it needs; none where there is none."""
    return [_line(line, frame) for line in textwrap.wrap(text, frame.width - 1)]


def _bar_width(frame: Frame) -> int:
    return max(8, min(60, frame.width - 40))


def _head(history: History, names: Sequence[str], total: int, frame: Frame) -> list[RenderableType]:
    clock = time.strftime("%H:%M:%S", time.localtime(frame.now))
    bar = Table.grid(padding=(0, 1), expand=False)
    share = f"{history.ended / total:.0%}" if total else ""
    bar.add_row(
        ProgressBar(total=max(1, total), completed=history.ended, width=_bar_width(frame)),
        Text(f"{history.ended:,}/{total:,} ended"),
        Text(share),
    )
    workers = history.places
    busy = history.busy_share(frame.now)
    use = "" if busy is None else f"{count(workers, 'worker')}, busy {busy:.0%} of the time"
    return [
        _line(f"{frame.title}   {clock}", frame, "bold"),
        _line(frame.state, frame),
        bar,
        _line(counts_text(history), frame),
        *([_line(use, frame)] if use else []),
        _line(_times(history, total, frame.now), frame),
        _line(best_line(history, names), frame, "bold"),
        _line(sparkline_text(history, frame.now, _bar_width(frame)), frame),
    ]


def _times(history: History, total: int, now: float) -> str:
    text = f"{duration(history.elapsed(now))} since it began"
    left = seconds_left(history, total)
    if left is None or history.stopped is not None:
        return text
    return f"{text}, about {duration(left)} left; ends about {_clock(now + left, now)}"


def _clock(moment: float, now: float) -> str:
    near = moment - now < 20 * 3600
    return time.strftime("%H:%M" if near else "%Y-%m-%d %H:%M", time.localtime(moment))


def sparkline_text(history: History, now: float, width: int) -> str:
    """Return the best value so far over the time since the first one, as a line of blocks with its ends."""
    found = history.improvements
    if not found:
        return ""
    ended = history.stopped.time if history.stopped else now
    ago = duration(max(0.0, ended - found[-1][0]))
    if len(found) == 1:
        return f"  found {ago} ago, the first so far"
    values = _sampled(found, max(ended, found[-1][0]), width)
    return f"  {sparkline(values)}  {number(found[0][1])} → {number(found[-1][1])}, found {ago} ago"


def _sampled(found: Sequence[tuple[float, float]], until: float, width: int) -> list[float]:
    """Return the best value at so many moments, as far from each other, from the first value to now."""
    began = found[0][0]
    span = (until - began) / (width - 1)
    values: list[float] = []
    place = 0
    for column in range(width):
        moment = began + span * column if column + 1 < width else until
        while place + 1 < len(found) and found[place + 1][0] <= moment:
            place += 1
        values.append(found[place][1])
    return values


def _curve_texts(rows: Sequence[TrialHistory], frame: Frame) -> list[str]:
    """Return, for each trial, its last values as blocks, its step, and its place among others where it was compared.

    All are of one length; empty where none of them has reported.
    """
    length = min(_MOST_POINTS, max(_LEAST_POINTS, frame.width // 8))
    parts: list[tuple[str, str, str]] = []
    for row in rows:
        points = frame.curves.get(row.trial.id, ())
        step, weighed = furthest_step(row, points), row.weighed
        place = ""
        if weighed is not None and weighed.rank:
            place = f"{ordinal(weighed.rank)} of {weighed.among:,} at step {step_text(weighed.report.step)}"
        blocks = sparkline_with_gaps([point.value for point in points[-length:]])
        parts.append((blocks, "" if step is None else f"step {step_text(step)}", place))
    widths = [max(map(len, column)) for column in zip(*parts, strict=True)]
    return ["".join(f"{text:<{width}}  " for text, width in zip(each, widths, strict=True) if width) for each in parts]


def sparkline_with_gaps(values: Sequence[float | None]) -> str:
    """Return values as blocks, with another sign for those that are not finite numbers."""
    blocks = iter(sparkline([value for value in values if value is not None]))
    return "".join(_NOT_A_NUMBER if value is None else next(blocks) for value in values)


def sparkline(values: Sequence[float]) -> str:
    """Return values as blocks of eight heights, by their logarithms where they span orders of magnitude."""
    if not values:
        return ""
    low, high = min(values), max(values)
    if low > 0 and high / low > 50:
        values = [math.log(value) for value in values]
        low, high = min(values), max(values)
    width = high - low
    if not width > 0 or not math.isfinite(width):
        return _LEVELS[0] * len(values)
    return "".join(_LEVELS[min(7, int(8 * (value - low) / width))] for value in values)


def _running(history: History, names: Sequence[str], frame: Frame, room: int) -> list[Text]:
    running = sorted(history.running.values(), key=lambda trial: trial.started)
    idle = 0 if history.stopped else max(0, history.places - len(running))
    lines = [_line(f"Running: {len(running):,}" + (f"; {count(idle, 'worker')} idle" if idle else ""), frame, "bold")]
    shown = running if len(running) <= room else running[: room - 1]
    widest = max([len(trial.trial.id) for trial in shown], default=0)
    sets = hyperparameter_lines([row.trial.hyperparameters for row in shown], names)
    for row, curve, values in zip(shown, _curve_texts(shown, frame), sets, strict=True):
        text = f"  {row.trial.id:<{widest}} {duration(max(0.0, frame.now - row.started)):>9}  {curve}{values}"
        output = frame.outputs.get(row.trial.id, "") if frame.shows_output else ""
        if output:
            half = (frame.width - 1) // 2
            text = f"{text[: half - 2]:<{half}}| {output}"
        lines.append(_line(text, frame))
    if len(running) > len(shown):
        lines.append(_line(f"  … and {len(running) - len(shown):,} more", frame))
    return lines


def _failures(history: History, frame: Frame) -> list[Text]:
    kinds = failures_by_reason(history, named=1)
    if not kinds:
        return []
    lines = [_line(f"Failures: {sum(kind.amount for kind in kinds):,}", frame, "bold")]
    lines += [_line(f"  {kind}", frame) for kind in kinds[:_MOST_KINDS]]
    if len(kinds) > _MOST_KINDS:
        lines.append(_line(f"  … and {len(kinds) - _MOST_KINDS:,} more reasons", frame))
    return lines


def _nodes(history: History, frame: Frame) -> list[Text]:
    """Return a line on the nodes, where there are several: those with failures first."""
    nodes = history.campaigns[-1].nodes if history.campaigns else {}
    lacking = [_line(f"No workers on {reason}", frame) for reason in history.lacking if history.places]
    if len(nodes) < 2:
        return lacking
    worst_first = sorted(nodes.items(), key=lambda node: (-node[1].failed, node[0]))
    parts = [
        f"{name} {each.ended:,}" + (f" ({each.failed:,} failed)" if each.failed else "") for name, each in worst_first
    ]
    out_of_use = [f"{excluded.node} is out of use" for excluded in history.excluded]
    return [*lacking, _line(f"Ended on {len(nodes):,} nodes: " + ", ".join([*out_of_use, *parts]), frame)]
