"""`campaign.log`: what happened to an experiment's campaigns, for whoever has to find out why a machine misbehaves.

A line an entry: the time (UTC), the level, host and process, the logger, and what happened. A traceback follows its
entry, indented. What is in it comes from the standard library's loggers `candle_hpo` and `parsl`, and, of the events
that the record appends, from here. It is not a part of the record: nothing reads it back, and a campaign runs on where
it cannot be written.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from candle_hpo.core.trial import Status
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    JobEnded,
    JobRefused,
    JobSubmitted,
    NodeExcluded,
    PlacesChanged,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopAsked,
)

LEVEL = "CANDLE_LOG_LEVEL"  # of both loggers; without it, each has its own

_LEVELS = {"candle_hpo": logging.INFO, "parsl": logging.WARNING, "concurrent.futures": logging.WARNING}
_MOST_BYTES = 5_000_000  # of the file, and of the one before it
_NAMED = 3
_MOST_NOTES = 100

_logger = logging.getLogger("candle_hpo.campaign")  # whose events these are


class _Line(logging.Formatter):
    """One line an entry, whatever the message holds; only a traceback takes more lines, which are indented."""

    converter = staticmethod(time.gmtime)
    default_time_format, default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {socket.gethostname()}:%(process)d %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return _printable(" ".join(super().formatMessage(record).split("\n")))

    def formatException(self, ei: object) -> str:  # noqa: N802
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join(f"    {_printable(line)}" for line in lines)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class _Handler(RotatingFileHandler):
    """Appends to the file as long as that works; what cannot be written is lost, and the next entry tries again."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()

    def close(self) -> None:
        with suppress(OSError, ValueError):
            super().close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append what the loggers say meanwhile to a file, which is made with the first entry."""
    handler = _Handler(path, maxBytes=_MOST_BYTES, backupCount=1, encoding="utf-8", errors="replace", delay=True)
    handler.setFormatter(_Line())
    asked = logging.getLevelName(os.environ.get(LEVEL, "").upper())
    earlier = {name: logging.getLogger(name).level for name in _LEVELS}
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(asked if isinstance(asked, int) else level)
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name, level in earlier.items():
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(level)
        handler.close()


def log_events(events: Sequence[AnyEvent], known_notes: Collection[str] = ()) -> None:
    """Log what was recorded at once: campaigns, nodes, interruptions and retries; single trials for debugging alone.

    Notes, of warm hosts that cannot be had for instance, are logged where they are new, up to a hundred.

    Why the model failed is not in it, for that may quote its output; the record has it.
    """
    interrupted: dict[str, list[str]] = defaultdict(list)
    retried: list[str] = []
    others: list[AnyEvent] = []
    for event in events:
        match event:
            case TrialStarted():
                _logger.debug("attempt %d at %s starts", event.attempt, event.id)
                if event.attempt > 1:
                    retried.append(f"{event.id}, attempt {event.attempt}")
            case TrialFinished():
                outcome = event.outcome
                _logger.debug("trial %d: %s after %.1f s", event.number, outcome.status, outcome.seconds)
                for note in outcome.notes:
                    if note not in known_notes and len(known_notes) < _MOST_NOTES:
                        _logger.warning("%s: %s", outcome.worker, note)
                if outcome.status is Status.INTERRUPTED:
                    interrupted[outcome.reason].append(f"trial {event.number} on {outcome.worker or 'no worker'}")
            case TrialReported():
                _logger.debug("trial %d: step %g, %d of %d", event.number, event.report.step, event.rank, event.among)
            case TrialStopAsked():
                _logger.info("trial %d is stopped early, at step %g", event.number, event.step)
            case _:
                others.append(event)
    for reason, names in interrupted.items():
        _logger.warning("interrupted at once: %s: %s", _some(names), reason)
    if retried:
        _logger.info("retried: %s", _some(retried))
    for event in others:
        match event:
            case CampaignStarted():
                place = f"job {event.job}" if event.job else "no job"
                gpus = f"; GPUs: {', '.join(event.gpus)}" if event.gpus else ""
                _logger.info("a campaign starts in %s; workers: %d%s", place, event.workers, gpus)
            case CampaignStopped():
                stop = event.stop
                why = "" if stop is None else f" before everything was done: {stop.reason.value}"
                _logger.log(logging.INFO if stop is None else logging.WARNING, "the campaign ends%s", why)
            case JobSubmitted():
                _logger.info("job %s was submitted", event.job)
            case JobRefused():
                _logger.warning("no job was submitted: %s", event.reason)
            case JobEnded():
                _logger.info("job %s has ended: %s", event.job, event.state or event.how.value)
            case PlacesChanged():
                _logger.info("workers: %d", event.places)
            case NodeExcluded():
                _logger.warning("%s %s is out of use: %s", event.kind, event.node, event.reason)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more
