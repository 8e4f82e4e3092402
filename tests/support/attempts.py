"""Attempts for tests, made in one call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Attempt, Configuration, Hyperparameters, Trial, default_trial_id
from candle_hpo.process.group import StopSwitch


def attempt_at(
    number: int,
    hyperparameters: Hyperparameters | None = None,
    id: str | None = None,  # noqa: A002
    attempt: int = 1,
) -> Attempt:
    """Return an attempt at the trial of this number, with the id that its number gives it."""
    return Attempt(Trial(Configuration(number, id or default_trial_id(number), hyperparameters or {})), attempt)


@contextmanager
def stopped_when_it_prints(output: Path, switch: StopSwitch, how: StopHow = StopHow.INTERRUPT) -> Iterator[None]:
    """Stop the trial that runs within the block as soon as it has printed something."""

    def stop_when_it_prints() -> None:
        while not (output.exists() and output.read_text()):
            time.sleep(0.01)
        switch.stop(how)

    thread = threading.Thread(target=stop_when_it_prints)
    thread.start()
    yield
    thread.join()
    switch.close()
