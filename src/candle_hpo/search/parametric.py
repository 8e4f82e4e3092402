"""The search of an experiment with parameters: chosen by its keywords."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from threadpoolctl import threadpool_limits

from candle_hpo.core.axes import same_value
from candle_hpo.core.experiment import Settings
from candle_hpo.core.parameters import Parameter, ParametricSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.search.budget import budget_of
from candle_hpo.search.points import Points, PointSearch
from candle_hpo.search.samplers import sampler_maker
from candle_hpo.search.study_search import KnownPoint, StudySearch
from candle_hpo.search.study_space import StudySpace


def parametric_search(
    space: ParametricSpace, settings: Settings, seed: int, known: Sequence[KnownPoint] = ()
) -> PointSearch | StudySearch:
    """Return a search at its beginning; what its trials came to, it is to be told.

    `known` are results that were there before, of this space. They take the place of as many first, spread points.
    Raises `MachineError` where the package of a sampler is missing.
    """
    # The campaign shares its CPUs with the models; more threads make these small matrices slower, not faster.
    threadpool_limits(1, user_api="blas")
    study_space, budget = StudySpace(space), budget_of(settings)
    budget = replace(budget, design=max(0, budget.design - len(known)))
    if settings.workflow == "random" or settings.sampler in ("random", "qmc"):
        evenly = settings.workflow != "random" and settings.sampler == "qmc"
        return PointSearch(study_space, budget, seed, [each.coordinates for each in known], evenly=evenly)
    maker = sampler_maker(settings.sampler, study_space, seed, settings.design_size)
    return StudySearch(study_space, maker, budget, settings.direction, seed, known)


def planned_trials(space: ParametricSpace, settings: Settings, known: Sequence[KnownPoint] = ()) -> int:
    """Return how many trials an experiment makes: what its budget allows, or what its space has that is not known."""
    study_space = StudySpace(space)
    points = Points(study_space, seed=0)
    left = study_space.points() - len({points.key_at(each.coordinates) for each in known})
    return int(min(budget_of(settings).trials, left))


def known_point(
    space: ParametricSpace, hyperparameters: Mapping[str, object], texts: Mapping[str, str], value: float
) -> KnownPoint | None:
    """Return an earlier result as a search takes it in; None where it is not of this space.

    `texts` are cells of a table, which do not tell the text "16" from the number: what the space has is taken.
    """
    fitting: Hyperparameters = dict(hyperparameters)
    for parameter in space.parameters:
        name = parameter.name
        candidates = [each[name] for each in (fitting, texts) if name in each]
        fitting[name] = next((each for each in candidates if _is_value_of(parameter, each)), None)
    coordinates = space.coordinates({name: each for name, each in fitting.items() if each is not None})
    return None if coordinates is None else KnownPoint(coordinates, value)


def _is_value_of(parameter: Parameter, value: object) -> bool:
    """Tell whether a parameter makes this value, to the precision of a printed number."""
    try:
        found = parameter.find(value)
    except OverflowError:  # a whole number that no float can hold
        return False
    return found is not None and _is_same(parameter.value(found), value)


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, float) and isinstance(other, int | float) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return same_value(one, other)
