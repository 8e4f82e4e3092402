"""How many trials a search may propose, and how many of them at a time."""

from __future__ import annotations

from dataclasses import dataclass

from candle_hpo.core.experiment import Settings

USUAL_POINTS = 10  # of CANDLE's `propose_points`


@dataclass(frozen=True)
class Budget:
    """The limits of a search.

    At most `trials` trials in all. The first `design` of them may all run at once; of the later ones, only so many that
    no more than `in_flight` trials run (0: any number). In `batches`, the next `in_flight` trials begin when all that
    were proposed before have ended.
    """

    trials: int
    design: int = 0
    in_flight: int = 0
    batches: bool = False

    def allows(self, number: int, running: int) -> bool:
        """Return whether the trial of this number may be proposed while so many others run."""
        if number > self.trials:
            return False
        if number <= self.design or not self.in_flight:
            return True
        if self.batches:
            return running == 0 or (number - 1 - self.design) % self.in_flight > 0
        return running < self.in_flight


def budget_of(settings: Settings) -> Budget:
    """Return the limits that the keywords of an experiment set, as mlrMBO's iterations do in CANDLE.

    A random search has no iterations: all that its workers can take runs at a time.
    """
    if settings.workflow == "random":
        return Budget(settings.max_budget)
    points = points_in_flight(settings)
    trials = min(settings.design_size + settings.max_iterations * points, settings.max_budget)
    return Budget(trials, min(settings.design_size, trials), points, settings.proposals == "batch")


def points_in_flight(settings: Settings) -> int:
    """Return `propose_points`; where it is not said, as many as there are workers, but ten at least."""
    return settings.propose_points or max(USUAL_POINTS, settings.nworkers)
