"""What `restart_from_exp` makes of an earlier experiment: other settings, and perhaps more sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from candle_hpo.core.axes import key_of
from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import InputFile, Settings
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import Hyperparameters, Status
from candle_hpo.inputfile.handed_files import read_templates
from candle_hpo.inputfile.parameter_sets import SetsOfLines
from candle_hpo.record.earlier_results import read_earlier_results
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.folder import StoredExperiment, read_parameter_sets, read_search_space
from candle_hpo.report.words import count
from candle_hpo.runner.search_assembly import configurations_of
from candle_hpo.script.files_around_script import files_around_script
from candle_hpo.search.added_sets import compare_sets

_NAMED = 5  # of the ids in a note
# The keywords that say where, or when, the value is found, and what a trial runs beside its script.
_OF_A_TRIAL = (
    "result_pattern", "result_file", "result_key", "on_timeout", "model_command", "hyperparams_as", "argument_style",
    "script_args", "extra_script_args", "prepare", "stdin_file", "link", "run_in",
)  # fmt: skip


@dataclass(frozen=True)
class Restart:
    """An experiment before and after an input file continues it; `added` are the sets that are new in that file."""

    earlier: Experiment
    before: StoredExperiment
    stored: StoredExperiment
    added: Sequence[ParameterSet]
    notes: tuple[str, ...]

    @property
    def left(self) -> int:
        """How many trials there are to run: those without an outcome, the failed ones, and the new ones."""
        return self.earlier.history.left(self.stored.trials(self.earlier.history)) + self.earlier.history.failed

    def first_left(self) -> Hyperparameters | None:
        """Return the hyperparameters of the first set of a grid that is to run; None where there is none."""
        if self.stored.settings.workflow != "grid":
            return None
        done = {
            row.trial.id
            for row in self.earlier.history.trials.values()
            if row.outcome is not None and row.outcome.failure is None
        }
        before = msgspec.structs.replace(self.stored, total=self.before.total)
        there = read_parameter_sets(self.earlier.paths, before).sets
        left = (one for sets in (there, self.added) for one in sets if one.id not in done)
        first, levels = next((one.hyperparameters for one in left), None), self.stored.settings.levels
        return first if levels is None or first is None else levels.at(1, first)


def plan_restart(request: InputFile, interpreter: str, earlier: Experiment) -> Restart:
    """Return what an input file makes of an earlier experiment; nothing is written.

    Raises `InputError` where that is one of another workflow; `RecordError` where it is damaged.
    """
    settings, paths, before, name = request.settings, earlier.paths, earlier.stored, earlier.name
    if settings.workflow != before.settings.workflow:
        raise InputError(
            f'{name} has workflow="{before.settings.workflow}", and this file "{settings.workflow}"; '
            "to continue it, keep its workflow"
        )
    if settings.objective.name != before.settings.objective.name:
        raise InputError(
            f"the value of {name} is called {before.settings.objective.name}, and that of this file "
            f"{settings.objective.name} (objectives, result_pattern, result_key): they may not be the same; to "
            f"continue {name}, keep its own"
        )
    if _choice_of(settings) != _choice_of(before.settings):
        raise InputError(
            f"{name} has {_text_of_choice(before.settings)}, and this file {_text_of_choice(settings)}: its values are "
            f"other ones, and cannot be compared; to continue {name}, keep its own"
        )
    if settings.levels != before.settings.levels:
        raise InputError(
            f"{name} has {_fidelity_text(before.settings)}, and this file {_fidelity_text(settings)}: trials of other "
            f"levels cannot be compared; to continue {name}, keep its own"
        )
    settings = msgspec.structs.replace(settings, fidelity=before.settings.fidelity)
    names = [*request.default_model, *(request.space.names if request.space else ())]
    templates, wrong = read_templates(settings, list(dict.fromkeys([*before.default_model, *before.names, *names])))
    if wrong:
        raise InputError(*wrong)
    stored = msgspec.structs.replace(before, settings=settings, interpreter=interpreter, templates=templates)
    stored = msgspec.structs.replace(stored, copied=files_around_script(settings)[0])
    others = (*_notes_on_comparison(name, before, stored), *_notes_on_direction(earlier, settings))
    if settings.workflow != "grid":
        total = configurations_of(read_search_space(paths), settings, read_earlier_results(paths))
        note = f"{name} keeps its own search space and seed; those of this file are ignored"
        return Restart(earlier, before, msgspec.structs.replace(stored, total=total), (), (note, *others))
    if request.space is None:
        note = f"{name} keeps its own sets and seed; this file lists none"
        return Restart(earlier, before, stored, (), (note, *others))
    plan = _plan_of_grid(earlier, stored, request)
    return replace(plan, notes=(*plan.notes, *others))


def _notes_on_comparison(name: str, before: StoredExperiment, now: StoredExperiment) -> Iterator[str]:
    """Yield a note on what makes values other ones than those that have completed trials of this experiment have."""
    known = {each.user_text for each in before.templates}
    changed = [each.place for each in now.templates if each.user_text not in known]
    changed += [each for each in _OF_A_TRIAL if getattr(now.settings, each) != getattr(before.settings, each)]
    if changed:
        listed, are = ", ".join(changed), "is" if len(changed) == 1 else "are"
        yield f"{listed} {are} not as in {name}: values from here on may not be comparable with those that are there"


def _notes_on_direction(earlier: Experiment, settings: Settings) -> Iterator[str]:
    """Yield a note where another direction makes other trials the best ones."""
    there, here, history = earlier.settings.direction.value, settings.direction.value, earlier.history
    if there == here:
        return
    stopped = history.counts[Status.STOPPED]
    kept = ["what was run again with more"] if settings.levels else []
    kept += [f"{count(stopped, 'trial')} stopped early"] if stopped else []
    yield (
        f"direction was {there}, and is {here}: from here on that says which trials of {earlier.name} are the best"
        + (f"; decided to {there}, and kept: {', '.join(kept)}" if kept else "")
    )


def _choice_of(settings: Settings) -> object:
    is_best = settings.result_from is not None and settings.result_from.which == "best"
    return settings.result_from, settings.direction if is_best else None


def _text_of_choice(settings: Settings) -> str:
    if settings.result_from is None:
        return "no result_from"
    direction = f" and direction={settings.direction.value}" if settings.result_from.which == "best" else ""
    return f"result_from={settings.result_from}{direction}"


def _fidelity_text(settings: Settings) -> str:
    fidelity = settings.fidelity
    if fidelity is None:
        return "no fidelity"
    return f'fidelity="{fidelity.name} {fidelity.least} {fidelity.most}" (reduction_factor={settings.reduction_factor})'


def _plan_of_grid(earlier: Experiment, stored: StoredExperiment, request: InputFile) -> Restart:
    space, default_model, before = request.space, request.default_model, earlier.stored
    assert isinstance(space, GridSpace)  # noqa: S101  # of a grid, nothing else is read
    assert isinstance(space.sets, SetsOfLines)  # noqa: S101
    filled = {**default_model, **before.default_model}
    changed = [name for name, value in default_model.items() if key_of(filled[name]) != key_of(value)]
    new = [name for name in default_model if name not in before.default_model]
    is_known = key_of(default_model) in map(key_of, before.later_defaults)
    later = [*before.later_defaults, *([default_model] if changed and not is_known else [])]
    there = read_parameter_sets(earlier.paths, msgspec.structs.replace(before, default_model=filled)).sets
    completed = [{**filled, **each} for each in (default_model, filled, *before.later_defaults)]
    made_with = {key_of(each): each for each in completed}  # most often all are the same
    found = compare_sets(there, map(space.sets.as_listed, range(len(space.sets))), list(made_with.values()))
    stored = msgspec.structs.replace(
        stored,
        default_model=filled,
        later_defaults=later,
        names=list(dict.fromkeys([*before.names, *space.names, *changed, *new])),  # they are not the same in all sets
        total=before.total + len(found.added),
    )
    name = earlier.name
    notes = [f"{name} keeps the {count(before.total, 'set')} and the seed that it has"]
    if found.added:
        notes.append(f"New in this file, and added to {name}: {_shown([one.id for one in found.added])}")
    if found.removed:
        notes.append(f"No longer in this file, and kept in {name}: {_shown(found.removed)}")
    if found.changed:
        notes.append(
            f"Other values in this file than in {name}, which keeps its own: {_shown(found.changed)}; to run the "
            "values of this file, give them another id"
        )
    return Restart(earlier, before, stored, found.added, (*notes, *_notes_on_defaults(name, before, default_model)))


def _notes_on_defaults(name: str, before: StoredExperiment, default_model: Hyperparameters) -> list[str]:
    notes: list[str] = []
    for each, value in default_model.items():
        if each not in before.default_model:
            if each not in before.names:
                notes.append(
                    f"&default_model: {each} = {value!r} is new; all sets of {name} that are yet to run get it"
                )
        elif key_of(value) != key_of(before.default_model[each]):
            notes.append(
                f"&default_model: {each} was {before.default_model[each]!r}, and is {value!r}; the sets of {name} keep "
                "what they were made with, and new ones get the new value"
            )
    gone = [each for each in before.default_model if each not in default_model]
    if gone:
        notes.append(f"&default_model has no {', '.join(gone)} any more; {name} keeps it, for all sets")
    return notes


def _shown(ids: Sequence[str]) -> str:
    more = f" … and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return f"{count(len(ids), 'set')} ({', '.join(ids[:_NAMED])}{more})"
