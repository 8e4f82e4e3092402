"""Attempts for tests, made in one call."""

from __future__ import annotations

from candle_hpo.core.trial import Attempt, Configuration, Hyperparameters, Trial, default_trial_id


def attempt_at(
    number: int,
    hyperparameters: Hyperparameters | None = None,
    id: str | None = None,  # noqa: A002
    attempt: int = 1,
) -> Attempt:
    """Return an attempt at the trial of this number, with the id that its number gives it."""
    return Attempt(Trial(Configuration(number, id or default_trial_id(number), hyperparameters or {})), attempt)
