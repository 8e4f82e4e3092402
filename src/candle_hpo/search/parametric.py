"""The search of an experiment with parameters: chosen by its keywords."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from threadpoolctl import threadpool_limits

from candle_hpo.core.axes import same_value
from candle_hpo.core.errors import MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.parameters import Parameter, ParametricSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.search.budget import budget_of
from candle_hpo.search.learning import KnownPoint, LearningSearch, Sampler
from candle_hpo.search.points import Points, PointSearch
from candle_hpo.search.space import SearchSpace

EXTRAS = {"gp": "torch", "cmaes": "cmaes"}  # the package that a sampler of Optuna's needs besides Optuna


def parametric_search(
    space: ParametricSpace, settings: Settings, seed: int, known: Sequence[KnownPoint] = ()
) -> PointSearch | LearningSearch:
    """Return a search at its beginning; it has observed no trials yet.

    `known` are results that were there before, of this space. They take the place of as many first, spread points.
    Raises `MachineError` where the package of a sampler is missing.
    """
    # The campaign shares its CPUs with the models; more threads make these small matrices slower, not faster.
    threadpool_limits(1, user_api="blas")
    search_space, budget = SearchSpace(space), budget_of(settings)
    budget = replace(budget, design=max(0, budget.design - len(known)))
    if settings.workflow == "random" or settings.sampler in ("random", "qmc"):
        evenly = settings.workflow != "random" and settings.sampler == "qmc"
        return PointSearch(search_space, budget, seed, [each.coordinates for each in known], evenly=evenly)
    check_sampler(settings.sampler)
    objective = settings.objective.name
    of_sampler = (search_space, settings.direction, seed, settings.design_size)
    if settings.sampler == "candle":
        return LearningSearch(search_space, Sampler(*of_sampler), budget, seed, known, objective)
    from candle_hpo.search.optuna.study import StudySampler  # candle's own sampler needs no Optuna

    return LearningSearch(search_space, StudySampler(settings.sampler, *of_sampler), budget, seed, known, objective)


def check_sampler(name: str) -> None:
    """Raise `MachineError` where a sampler needs a package that is not installed."""
    module = EXTRAS.get(name)
    if module is None:
        return
    try:
        importlib.import_module(module)
    except ImportError:
        raise MachineError(
            f'sampler="{name}" needs the package {module}, which is not installed with candle; install it there '
            f"(pip install {module}), or omit sampler"
        ) from None


def planned_trials(space: ParametricSpace, settings: Settings, known: Sequence[KnownPoint] = ()) -> int:
    """Return how many trials an experiment makes: what its budget allows, or what its space has that is not known."""
    search_space = SearchSpace(space)
    points = Points(search_space, seed=0)
    left = search_space.points() - len({points.key_at(each.coordinates) for each in known})
    return int(min(budget_of(settings).trials, left))


def known_point(
    space: ParametricSpace, hyperparameters: Mapping[str, object], texts: Mapping[str, str], value: float
) -> KnownPoint | None:
    """Return an earlier result as a search takes it in; None where it is not of this space.

    `texts` are cells of a table, which do not distinguish the text "16" from the number: what the space has is taken.
    """
    fitting: Hyperparameters = dict(hyperparameters)
    for parameter in space.parameters:
        name = parameter.name
        candidates = [each[name] for each in (fitting, texts) if name in each]
        fitting[name] = next((each for each in candidates if _is_value_of(parameter, each)), None)
    coordinates = space.coordinates({name: each for name, each in fitting.items() if each is not None})
    return None if coordinates is None else KnownPoint(coordinates, value)


def _is_value_of(parameter: Parameter, value: object) -> bool:
    """Return whether a parameter makes this value, to the precision of a printed number."""
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
