"""The search that learns: a study of Optuna that is told every outcome, and asked for the next point."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from candle_hpo.core.errors import RecordError
from candle_hpo.core.experiment import Direction
from candle_hpo.core.parameters import Coordinates
from candle_hpo.core.space import ParameterSet
from candle_hpo.core.trial import Outcome, Status, Trial, default_trial_id
from candle_hpo.search.budget import Budget
from candle_hpo.search.points import Key, Points, key_of
from candle_hpo.search.samplers import AsRun, MakeSampler
from candle_hpo.search.study_space import StudySpace


class EarlierResult(NamedTuple):
    """A result of an earlier experiment in the same space: where, and the value."""

    coordinates: Coordinates
    value: float


class StudySearch:
    """Proposes what a sampler makes of all that is known: values, failures, and what runs now.

    No point is proposed twice: where a sampler repeats one, a random one takes its place. `earlier` are results that
    are known before the first trial. What was proposed and told is rebuilt from the record by telling it again.
    """

    def __init__(
        self,
        space: StudySpace,
        make_sampler: MakeSampler,
        budget: Budget,
        direction: Direction,
        seed: int,
        earlier: Iterable[EarlierResult] = (),
    ) -> None:
        self._space, self._make_sampler, self._budget = space, make_sampler, budget
        self._direction = direction
        self._points = Points(space, seed)
        self._study = self._study_of(())
        self._numbers: dict[int, int] = {}  # of a trial -> of its place in the study
        self._taken: set[Key] = set()
        self._running: set[int] = set()
        for result in earlier:
            self._add(result.coordinates, TrialState.COMPLETE, result.value)

    def propose(self, number: int) -> ParameterSet | None:
        """Return the set for the trial of this number; None where the budget or the space has no more, or not yet."""
        if not self._budget.allows(number, len(self._running)):
            return None
        point = self._ask(number)
        if point is None:
            return None
        self._running.add(number)
        return ParameterSet(default_trial_id(number), self._space.space.hyperparameters(point))

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take in how a trial ended, perhaps one that an earlier campaign proposed.

        One that the machine interrupted tells nothing: its value is as unknown as that of a trial that runs. Raises
        `RecordError` for hyperparameters that are not of this space.
        """
        self._running.discard(trial.number)
        if trial.number not in self._numbers:
            point = self._space.space.coordinates(trial.hyperparameters)
            if point is None:
                raise RecordError(f"{trial.id} has hyperparameters that are not of this experiment's search space")
            self._numbers[trial.number] = self._add(point, TrialState.RUNNING)
        if outcome.status is Status.INTERRUPTED:
            return
        place = self._numbers[trial.number]
        if self._study.get_trials(deepcopy=False)[place].state.is_finished():  # it failed, and was attempted again
            self._rebuild_with(place)
        if outcome.value is None:
            self._study.tell(place, state=TrialState.FAIL)
        else:
            self._study.tell(place, outcome.value)

    def _ask(self, number: int) -> Coordinates | None:
        """Return the sampler's next point, which counts as running from now on; None where all are taken."""
        if len(self._taken) >= self._space.cube.size:
            return None
        known = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = AsRun(self._make_sampler(known), self._space)
        trial = self._study.ask()
        point = self._space.suggest(trial)
        if key_of(point) in self._taken:
            self._study = self._study_of(self._study.trials[: trial.number])
            free = self._points.random(number, self._taken)
            if free is None:
                return None
            self._numbers[number] = self._add(free, TrialState.RUNNING)
            return free
        self._numbers[number] = trial.number
        self._taken.add(key_of(point))
        return point

    def _add(self, point: Coordinates, state: TrialState, value: float | None = None) -> int:
        """Put a trial into the study that was not asked of it; return its place."""
        params = self._space.params(point)
        distributions = {name: self._space.distributions[name] for name in params}
        self._study.add_trial(create_trial(state=state, value=value, params=params, distributions=distributions))
        self._taken.add(key_of(point))
        return len(self._study.get_trials(deepcopy=False)) - 1

    def _rebuild_with(self, running: int) -> None:
        """Make the study anew, with the trial at one place running again."""
        trials = self._study.trials
        earlier = trials[running]
        trials[running] = create_trial(
            state=TrialState.RUNNING, params=earlier.params, distributions=earlier.distributions
        )
        self._study = self._study_of(trials)

    def _study_of(self, trials: Iterable[FrozenTrial]) -> optuna.Study:
        study = optuna.create_study(direction=self._direction.value)
        study.add_trials(trials)
        return study
