"""The search of an experiment, as it was stored: what both engines drive."""

from __future__ import annotations

from candle_hpo.campaign import Search
from candle_hpo.core.experiment import Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.record.earlier_results import read_earlier_results
from candle_hpo.record.folder import StoredExperiment, read_parameter_sets, read_search_space
from candle_hpo.search.grid import GridSearch


def search_of(paths: ExperimentPaths, stored: StoredExperiment) -> Search:
    """Return the search of an experiment at its beginning; the campaign tells it what the record has.

    Raises `RecordError` where the experiment's folder is damaged, `MachineError` where a sampler's package is missing.
    """
    if stored.settings.workflow == "grid":
        return GridSearch(read_parameter_sets(paths, stored))
    from candle_hpo.search.parametric import earlier_result, parametric_search  # a grid needs no SciPy

    space = read_search_space(paths)
    earlier = [earlier_result(space, each.hyperparameters, each.value) for each in read_earlier_results(paths)]
    return parametric_search(space, stored.settings, stored.seed, filter(None, earlier))


def trials_of(space: GridSpace | ParametricSpace, settings: Settings) -> int:
    """Return how many trials an experiment makes."""
    if isinstance(space, GridSpace):
        return len(space.sets)
    from candle_hpo.search.parametric import planned_trials

    return planned_trials(space, settings)


def first_sets(space: GridSpace | ParametricSpace, settings: Settings, most: int) -> list[ParameterSet]:
    """Return the sets that an experiment would begin with; with a seed that is drawn, such ones."""
    if isinstance(space, GridSpace):
        return list(space.sets[:most])
    from candle_hpo.search.parametric import parametric_search

    search = parametric_search(space, settings, settings.seed or 0)
    return [one for number in range(most) if (one := search.propose(number)) is not None]
