"""What an experiment's stored search space shows before its trials do: scales, and every choice there is."""

from __future__ import annotations

from candle_hpo.core.axes import Axis
from candle_hpo.core.parameters import Parameter, ParametricSpace
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.record.folder import StoredExperiment, read_parameter_sets, read_search_space


def log_scales(paths: ExperimentPaths) -> dict[str, bool]:
    """Return, for each parameter with a range, whether it is spread by its logarithm. Raises `RecordError`."""
    if not paths.search_space.exists():
        return {}
    return {each.name: each.scale == "log" for each in read_search_space(paths).parameters}


def known_sets(paths: ExperimentPaths, stored: StoredExperiment) -> list[Hyperparameters]:
    """Return sets that have, between them, every choice and both ends of every range. Raises `RecordError`.

    Of a grid, they are its sets. Conditions play no part in them.
    """
    if paths.parameter_sets.exists():
        return [one.hyperparameters for one in read_parameter_sets(paths, stored).sets]
    return corners(read_search_space(paths)) if paths.search_space.exists() else []


def corners(space: ParametricSpace) -> list[Hyperparameters]:
    """Return sets with the first values of all parameters, their second ones, and so on: all choices, both ends."""
    most = max((len(_ends(axis)) for axis in space.axes), default=0)
    return [{each.name: _value(each, place) for each in space.parameters} for place in range(most)]


def _value(parameter: Parameter, place: int) -> object:
    ends = {axis.name: _ends(axis) for axis in parameter.axes}
    return parameter.value({name: values[min(place, len(values) - 1)] for name, values in ends.items()})


def _ends(axis: Axis) -> list[int | float]:
    return list(range(len(axis.choices))) if axis.kind == "categorical" else [axis.low, axis.high]
