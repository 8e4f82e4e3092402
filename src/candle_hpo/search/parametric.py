"""The search of an experiment with parameters: chosen by its keywords."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from threadpoolctl import threadpool_limits

from candle_hpo.core.experiment import Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.search.budget import budget_of
from candle_hpo.search.points import PointSearch
from candle_hpo.search.samplers import sampler_maker
from candle_hpo.search.study_search import EarlierResult, StudySearch
from candle_hpo.search.study_space import StudySpace


def parametric_search(
    space: ParametricSpace, settings: Settings, seed: int, earlier: Iterable[EarlierResult] = ()
) -> PointSearch | StudySearch:
    """Return a search at its beginning; what its trials came to, it is to be told.

    `earlier` are results of the same space that a search which learns knows from the start.
    """
    # The campaign shares its CPUs with the models; more threads make these small matrices slower, not faster.
    threadpool_limits(1, user_api="blas")
    study_space, budget = StudySpace(space), budget_of(settings)
    if settings.workflow == "random" or settings.sampler in ("random", "qmc"):
        evenly = settings.workflow != "random" and settings.sampler == "qmc"
        return PointSearch(study_space, budget, seed, evenly=evenly)
    maker = sampler_maker(settings.sampler, study_space, seed, settings.design_size)
    return StudySearch(study_space, maker, budget, settings.direction, seed, earlier)


def planned_trials(space: ParametricSpace, settings: Settings) -> int:
    """Return how many trials an experiment makes: what its budget allows, or what its space has."""
    return int(min(budget_of(settings).trials, StudySpace(space).points()))


def earlier_result(space: ParametricSpace, hyperparameters: Mapping[str, object], value: float) -> EarlierResult | None:
    """Return a result of an earlier experiment as the search takes it in; None where it is not of this space.

    Of a value from a table, which does not tell the text "16" from the number, the one that the space has is taken.
    """
    fitting: Hyperparameters = dict(hyperparameters)
    for parameter in space.parameters:
        found = fitting.get(parameter.name)
        if found is not None and parameter.find(found) is None and parameter.find(json.dumps(found)) is not None:
            fitting[parameter.name] = json.dumps(found)
    coordinates = space.coordinates(fitting)
    return None if coordinates is None else EarlierResult(coordinates, value)
