"""What `candle init` knows of IMPROVE's models from the files around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language
from candle_hpo.draft.improve import (
    DEFINITIONS,
    TRAIN,
    file_of_default_config,
    of_training,
    options_in_files,
    stage_of,
)
from candle_hpo.draft.options import Option, Options, Way
from candle_hpo.runner.listener import Say
from candle_hpo.script.reading import ScriptFile, script_text

_DATA = "train_data.*"  # improvelib, utils.py: what its preprocessing leaves
_MOST_FOLDERS = 500


def is_training_of_improve(script: ScriptFile) -> bool:
    """Return whether a script trains a model of IMPROVE. Raises `InputError` for one of the two beside that."""
    if script.language is not Language.PYTHON:
        return False
    stage = stage_of(script.text, script.name)
    if stage in ("", TRAIN):
        return stage == TRAIN
    does = "prepares the data" if stage == "Preprocess" else "predicts with a trained model"
    training = next(iter(sorted(script.path.parent.glob("*_train_improve.py"))), None)
    what = f"candle init {training}" if training else "name the one that trains"
    raise InputError(f"{script.name} {does} of a model of IMPROVE's, and has nothing to optimize; {what}")


def with_files_of_improve(options: Options, script: ScriptFile, say: Say) -> Options:
    """Return the options of a training script: what its --help has shown, or else what its files say; and its data."""
    folder = script.path.parent
    found, by = options.found, options.by
    if not any(each.name == "output_dir" for each in found):
        parameters = folder / file_of_default_config(script.text)
        say(f"So its options are those that {DEFINITIONS} and {parameters.name or 'its file of parameters'} show")
        found = options_in_files(_text_of(folder / DEFINITIONS), _text_of(parameters))
        by = f"improvelib, {DEFINITIONS} and {parameters.name}"
    found = tuple(_with_own_folder(each) for each in of_training(found))
    return Options(Way.ARGUMENTS, tuple(_with_data(each, folder, say) for each in found), by)


def _text_of(path: Path) -> str:
    return script_text(path) if path.is_file() else ""


def _with_own_folder(option: Option) -> Option:
    """Return `output_dir` as the trial's own folder, whatever improvelib's variables in the environment say."""
    return msgspec.structs.replace(option, default="./") if option.name == "output_dir" else option


def _with_data(option: Option, beside: Path, say: Say) -> Option:
    """Return `input_dir` as the one folder that has what the preprocessing leaves; else it has to be given."""
    is_set = isinstance(option.default, str) and option.default.strip("./") != ""
    if option.name != "input_dir" or is_set:
        return option
    places = sorted({each.parent for folder in (Path.cwd(), beside) for each in _data_in(folder)})
    if len(places) == 1:
        say(f"input_dir: {places[0]}, where the preprocessing has left {_DATA}")
        return msgspec.structs.replace(option, default=str(places[0]))
    return msgspec.structs.replace(option, default=None, is_required=True)


def _data_in(folder: Path) -> Iterator[Path]:
    folders = [folder, *(each for each in sorted(folder.glob("*")) if each.is_dir())][:_MOST_FOLDERS]
    for each in folders:
        yield from each.glob(_DATA)
        if each != folder:
            yield from each.glob(f"*/{_DATA}")
