"""The search of an experiment, as it was stored, and the campaign that drives it on either engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from candle_hpo.campaign import Campaign
from candle_hpo.core.axes import key_of, same_value
from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import USUAL_BUDGET, Settings
from candle_hpo.core.news import Engine
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import Report
from candle_hpo.record.earlier_results import EarlierResult, find_earlier_results, read_earlier_results
from candle_hpo.record.folder import StoredExperiment, read_parameter_sets, read_search_space
from candle_hpo.record.record import Record
from candle_hpo.report.curves import Point
from candle_hpo.report.words import count, number, plain
from candle_hpo.runner.listener import Progress, Say
from candle_hpo.schedule.early_stopping import Asha, AtEachLevel, BestFew, EarlyStopping, Median, Rule, deciding_rungs
from candle_hpo.schedule.scheduler import FirstCome, LongestFirst, Scheduler
from candle_hpo.schedule.waiting import Search
from candle_hpo.search.fidelity import FidelitySearch
from candle_hpo.search.grid import GridSearch

if TYPE_CHECKING:
    from candle_hpo.search.learning import KnownPoint


def search_of(paths: ExperimentPaths, stored: StoredExperiment) -> Search:
    """Return the search of an experiment at its beginning; the campaign gives it what the record has.

    Raises `RecordError` where the experiment's folder is damaged, `MachineError` where a sampler's package is missing.
    """
    settings, levels = stored.settings, stored.settings.levels
    search: Search
    if settings.workflow == "grid":
        search = GridSearch(read_parameter_sets(paths, stored))
    else:
        from candle_hpo.search.parametric import parametric_search  # a grid needs no SciPy

        space = read_search_space(paths)
        search = parametric_search(space, settings, stored.seed, known_points(space, read_earlier_results(paths)))
    return search if levels is None else FidelitySearch(search, levels, settings.objective, stored.total)


def campaign_of(
    search: Search,
    settings: Settings,
    engine: Engine,
    record: Record,
    progress: Progress,
    retry_failed: bool,
    is_retried: Callable[[int], bool] = lambda _number: True,
) -> Campaign:
    """Return the campaign that drives a search; with `retry_failed`, trials that failed before are attempted again.

    `is_retried` says of which numbers that holds.

    A search that learns is asked for a trial only when a worker is free. One that lists its sets gives an earlier trial
    the hyperparameters that its set has now.
    """
    scheduler = LongestFirst() if isinstance(search, GridSearch) else FirstCome()
    return Campaign(
        search,
        engine,
        record,
        settings.failure_policy,
        progress.update,
        scheduler=_stopping_early(scheduler, settings),
        retry_failed=retry_failed,
        is_retried=is_retried,
        as_listed=search.as_listed if isinstance(search, GridSearch | FidelitySearch) else lambda trial: trial,
    )


def _stopping_early(scheduler: Scheduler, settings: Settings) -> Scheduler:
    """Return a scheduler that stops trials as the settings say, and chooses as another does.

    With fidelity, a whole trial has `max_steps` at the last level alone; of the others, that is learned.
    """
    if not settings.stopping:
        return scheduler
    levels = settings.levels

    def at_level(level: int) -> EarlyStopping:
        return EarlyStopping(
            scheduler,
            _rule(settings),
            settings.objective,
            min_steps=settings.min_steps,
            max_steps=settings.max_steps if levels is None or level == len(levels.values) else None,
            stops_nan="nan" in settings.stopping,
        )

    return at_level(1) if levels is None else AtEachLevel(scheduler, at_level)


def _rule(settings: Settings) -> Rule | None:
    rules: dict[str, Callable[[], Rule]] = {
        "median": Median,
        "best_few": BestFew,
        "asha": partial(Asha, settings.reduction_factor),
    }
    return next((rules[name]() for name in settings.stopping if name in rules), None)


def check_of_stopping(
    settings: Settings, last: Report | None, points: Sequence[Point]
) -> Iterator[tuple[Literal["right", "mention", "note"], str]]:
    """Yield what a trial that completed shows of early stopping, by its reports, and how that is to be shown.

    `points` are all that it has kept of them, and `last` is the last one of all.
    """
    asked = f"stopping={', '.join(settings.stopping)}"
    if len(points) == 1 and not settings.stopping:
        return  # it is the value, which was printed once, at the end
    if last is None or not last.has(settings.objective.name):
        if settings.stopping:
            yield (
                "note",
                (
                    f"{asked}: the trial reported nothing on its way, so none can be stopped early; what a report is, "
                    "docs/early-stopping.md says"
                ),
            )
        return
    said = f"it reported {settings.objective.name} on its way, until step {last.step:g}"
    if points:
        ends = (points[0].value, points[-1].value)
        values = " to ".join("no number" if value is None else number(value) for value in ends)
        said += f": {count(len(points), 'report')}" + (f", from {values}" if len(points) > 1 else "")
    yield "right", said
    rule = _rule(settings) if settings.stopping else Asha(settings.reduction_factor)
    if len(points) == 1 and rule is not None:
        yield (
            "note",
            (
                f"{asked}: the trial reported once alone, and one that does so is not stopped early; of a progress bar "
                "that is written over in one line, its last state is the only report"
            ),
        )
        return
    length = settings.max_steps or last.step
    rungs = [] if rule is None else [f"{rung:g}" for rung in deciding_rungs(rule, length, settings.min_steps)]
    steps = f"step{'s' if len(rungs) > 1 else ''} {', '.join(rungs[:4])}{', …' if len(rungs) > 4 else ''}"
    if rungs and settings.stopping:
        yield "right", f"{asked} compares trials at {steps}"
    elif rungs:
        yield "mention", f"stopping=asha would stop bad trials early, by what they have at {steps}"
    elif rule is not None and settings.stopping:
        given = "" if settings.min_steps is None else f"with min_steps={settings.min_steps}, "
        yield "note", f"{asked}: {given}none of {last.step:g} steps is looked at"


def known_points(space: ParametricSpace, results: Sequence[EarlierResult]) -> list[KnownPoint]:
    """Return earlier results as the search takes them in: those that are of its space."""
    from candle_hpo.search.parametric import known_point

    found = (known_point(space, each.hyperparameters, each.texts, each.value) for each in results)
    return [point for point in found if point is not None]


def configurations_of(
    space: GridSpace | ParametricSpace, settings: Settings, earlier: Sequence[EarlierResult] = ()
) -> int:
    """Return how many configurations an experiment makes: so many trials, or, with `fidelity`, more."""
    if isinstance(space, GridSpace):
        return len(space.sets)
    from candle_hpo.search.parametric import planned_trials

    return planned_trials(space, settings, known_points(space, earlier))


def trials_of(settings: Settings, configurations: int) -> int:
    """Return how many trials so many configurations make, with those that continue others."""
    return configurations if settings.levels is None else sum(settings.levels.trials(configurations))


def levels_text(settings: Settings, configurations: int) -> str:
    """Return how many trials there are at each level of the fidelity; "" where there is none."""
    levels = settings.levels
    if levels is None:
        return ""
    planned = zip(levels.values, levels.trials(configurations), strict=True)
    return f"{levels.name} = " + ", ".join(f"{value}: {count(trials, 'trial')}" for value, trials in planned)


def check_search(settings: Settings) -> None:
    """Raise `MachineError` where the package of a search's sampler is missing."""
    if settings.workflow == "bayesian":
        from candle_hpo.search.parametric import check_sampler

        check_sampler(settings.sampler)


def earlier_results_of(space: ParametricSpace, settings: Settings, say: Say) -> Sequence[EarlierResult]:
    """Return the results that the search is to begin with (`warm_start`), as they are in its space.

    Raises `InputError` where there are none.
    """
    if settings.warm_start is None or settings.workflow == "random":
        return ()
    measured = settings.objective.name
    is_metric = measured not in space.names and measured not in space.default_model
    found = find_earlier_results(settings.warm_start, Path.cwd(), *([measured] if is_metric else []))
    points = known_points(space, found.results)
    if not points:
        raise InputError(
            f"warm_start: none of {count(len(found.results), 'result')} in {found.source} is of this search space "
            f"(parameters: {', '.join(space.names)}); name an experiment with the same parameters, within these bounds"
        )
    say(
        f"warm_start: the search knows {len(points)} of {count(len(found.results), 'result')} in {found.source}",
    )
    there, here = found.objective, settings.objective
    if found.beside:
        say(f"  ({found.beside} counts, which was measured there beside what was optimized)")
    elif there is not None and there != here:
        aims = (
            f"there, the aim was to {there.direction.value} {there.name}; here, to {here.direction.value} {here.name}"
        )
        say(f"  ({aims})")
    others = list(_measured_with_others(space, settings, found.results))
    if others:
        say(f"  (not all were measured with what is fixed here: {', '.join(others)}; they may not be comparable)")
    return [EarlierResult(point.value, space.hyperparameters(point.coordinates)) for point in points]


def _measured_with_others(
    space: ParametricSpace, settings: Settings, results: Sequence[EarlierResult]
) -> Iterator[str]:
    """Yield what is fixed here, and has another value in results: `epochs=9 (there 3, 27)`."""
    budget = None if settings.levels is None else settings.levels.name
    for name, own in space.default_model.items():
        if name in space.names or name == budget:
            continue
        there = {key_of(each.hyperparameters[name]): each for each in results if name in each.hyperparameters}
        texts = [
            plain(each.hyperparameters[name])
            for each in there.values()
            if not same_value(each.hyperparameters[name], own) and each.texts.get(name) != own
        ]
        if texts:
            yield f"{name}={plain(own)} (there {', '.join(texts[:3])}{', …' if len(texts) > 3 else ''})"


def notes_on_budget(settings: Settings, total: int, known: int = 0) -> list[str]:
    """Return notes on a budget that is perhaps not meant so; `known` results replace as many of the first points."""
    if settings.workflow != "bayesian":
        return []
    from candle_hpo.search.budget import budget_of, points_in_flight

    notes: list[str] = []
    reached, points = budget_of(settings).trials, points_in_flight(settings)
    if reached < settings.max_budget != USUAL_BUDGET:
        needed = math.ceil((settings.max_budget - settings.design_size) / points)
        notes.append(
            f"max_iterations={settings.max_iterations} ends the search at {reached} trials, before "
            f"max_budget={settings.max_budget}; max_iterations={needed} reaches that"
        )
    if settings.design_size - known >= total > 1:
        notes.append(
            f"all {total} trials are points spread over the space (design_size={settings.design_size}), and nothing is "
            "learned from them; lower design_size, or raise max_budget"
        )
    return notes


def first_sets(
    space: GridSpace | ParametricSpace, settings: Settings, earlier: Sequence[EarlierResult], most: int
) -> list[ParameterSet]:
    """Return the sets that an experiment would begin with; with a seed that is yet to be drawn, such ones."""
    first = _first_proposed(space, settings, earlier, most)
    levels = settings.levels
    return [ParameterSet(one.id, levels.at(1, one.hyperparameters)) for one in first] if levels else first


def _first_proposed(
    space: GridSpace | ParametricSpace, settings: Settings, earlier: Sequence[EarlierResult], most: int
) -> list[ParameterSet]:
    if isinstance(space, GridSpace):
        return list(space.sets[:most])
    from candle_hpo.search.parametric import parametric_search

    search = parametric_search(space, settings, settings.seed or 0, known_points(space, earlier))
    proposed = (search.propose(number, number - 1) for number in range(1, most + 1))
    trials = [trial for trial in proposed if trial is not None]
    return [ParameterSet(trial.id, trial.hyperparameters) for trial in trials]
