"""The search that learns: a study of Optuna that is told every outcome, and asked for the next point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from candle_hpo.core.errors import RecordError
from candle_hpo.core.experiment import Direction
from candle_hpo.core.parameters import Coordinates
from candle_hpo.core.trial import Outcome, Status, Trial, default_trial_id
from candle_hpo.search.budget import Budget
from candle_hpo.search.points import PointKey, Points
from candle_hpo.search.sampler import REPEATED
from candle_hpo.search.samplers import AsRun, MakeSampler
from candle_hpo.search.study_space import StudySpace


class KnownPoint(NamedTuple):
    """A result that was there before the search: where, and the value."""

    coordinates: Coordinates
    value: float


class StudySearch:
    """Proposes what a sampler makes of all that is known: values, failures, and what runs now.

    No point is proposed twice: where a sampler repeats one, a random one takes its place. `known` are results that are
    there before the first trial. What was proposed and told is rebuilt from the record by telling it again.
    """

    def __init__(
        self,
        space: StudySpace,
        make_sampler: MakeSampler,
        budget: Budget,
        direction: Direction,
        seed: int,
        known: Iterable[KnownPoint] = (),
    ) -> None:
        self._space, self._make_sampler, self._budget = space, make_sampler, budget
        self._direction = direction
        self._points, self._count = Points(space, seed), space.points()
        self._study = self._study_of(())
        self._places: dict[int, int] = {}  # of each trial in the study, by its number
        self._taken: set[PointKey] = set()
        for each in known:
            self._add(each.coordinates, TrialState.COMPLETE, each.value)

    def propose(self, number: int, running: int) -> Trial | None:
        """Return the trial of this number; None where the budget or the space has no more, or not yet."""
        if not self._budget.allows(number, running) or len(self._taken) >= self._count:
            return None
        self._study.sampler = AsRun(self._make_sampler(len(self._taken)), self._space)
        asked = self._study.ask()
        point: Coordinates | None = self._space.suggest(asked)
        assert point is not None  # noqa: S101
        if self._points.key_at(point) in self._taken:
            asked.set_user_attr(REPEATED, True)
            self._study.tell(asked, state=TrialState.FAIL)
            point = self._points.random(number, self._taken)
            if point is None:
                return None
            self._places[number] = self._add(point, TrialState.RUNNING)
        else:
            self._places[number] = asked.number
            self._taken.add(self._points.key_at(point))
        return Trial(number, default_trial_id(number), self._space.space.hyperparameters(point))

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take in how a trial ended, perhaps one that an earlier campaign proposed.

        One that the machine interrupted tells nothing: its value is as unknown as that of a trial that runs. Raises
        `RecordError` for hyperparameters that are not of this space.
        """
        if trial.number not in self._places:
            point = self._space.space.coordinates(trial.hyperparameters)
            if point is None:
                raise RecordError(f"{trial.id} has hyperparameters that are not of this experiment's search space")
            self._places[trial.number] = self._add(point, TrialState.RUNNING)
        if outcome.status is Status.INTERRUPTED:
            return
        place = self._places[trial.number]
        if self._study.get_trials(deepcopy=False)[place].state.is_finished():  # it failed, and was attempted again
            self._let_run_again(place)
        if outcome.value is None:
            self._study.tell(place, state=TrialState.FAIL)
        else:
            self._study.tell(place, outcome.value)

    def _add(self, point: Coordinates, state: TrialState, value: float | None = None) -> int:
        """Put a trial into the study that was not asked of it; return its place."""
        params = self._space.params(point)
        distributions = {name: self._space.distributions[name] for name in params}
        self._study.add_trial(create_trial(state=state, value=value, params=params, distributions=distributions))
        self._taken.add(self._points.key_at(point))
        return len(self._study.get_trials(deepcopy=False)) - 1

    def _let_run_again(self, place: int) -> None:
        """Make the study anew, with the trial at one place running: Optuna's trials end only once."""
        trials = self._study.get_trials(deepcopy=False)
        trials[place] = create_trial(
            state=TrialState.RUNNING, params=trials[place].params, distributions=trials[place].distributions
        )
        self._study = self._study_of(trials)

    def _study_of(self, trials: Sequence[FrozenTrial]) -> optuna.Study:
        study = optuna.create_study(direction=self._direction.value)
        study.add_trials(trials)
        return study
