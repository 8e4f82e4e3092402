"""The keywords of `&control`: names, what their values look like, and what they mean.

The defaults are those of `core.experiment.Settings`; `docs/keywords.md` is generated from both.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from candle_hpo.core.errors import nearest
from candle_hpo.core.experiment import ArgumentStyle, Direction
from candle_hpo.inputfile.argument_style import read_argument_style


class KeywordValueError(ValueError):
    """A keyword's value is not of its form; the text says what would be right."""


@dataclass(frozen=True)
class Keyword:
    """One keyword: `read` turns its text into the value of the field of `Settings` of the same name."""

    name: str
    read: Callable[[str], object]
    meaning: str
    also: str | None = None
    default_shown: str | None = None


def _text(text: str) -> str:
    return text


def existing_file(text: str) -> str:
    """Return the absolute path of a file, taken from where the user stands; raise `KeywordValueError` for none."""
    path = Path.cwd() / text
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise KeywordValueError(
            f"the file {path} {what}; relative paths and $(pwd) are taken from where you run candle"
        )
    return str(path)


def _folder(text: str) -> str:
    path = Path.cwd() / text
    if path.is_file():
        raise KeywordValueError(f"{path} is a file; give its folder, {path.parent}")
    if not path.is_dir():
        raise KeywordValueError(
            f"the folder {path} does not exist; relative paths and $(pwd) are taken from where you run candle"
        )
    return str(path)


def _folders(text: str) -> str:
    return os.pathsep.join(_folder(folder) for folder in text.split(os.pathsep) if folder)


def _yes_or_no(text: str) -> bool:
    if text not in ("0", "1"):
        raise KeywordValueError(f'"{text}" is neither 0 nor 1')
    return text == "1"


def _whole_number(at_least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # At most 9 digits: more is a slip of the hand for every keyword there is.
        if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) or int(text) < at_least:
            raise KeywordValueError(f'"{text}" is not a whole number from {at_least} up (at most 9 digits)')
        return int(text)

    return read


def _gigabytes(text: str) -> float:
    number = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*[gG]?[bB]?", text, re.ASCII)
    if not number or float(number[1]) <= 0:
        raise KeywordValueError(f'"{text}" is not a number of gigabytes such as 7 or 1.5')
    return float(number[1])


def _megabytes(text: str) -> float:
    number = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*[mM]?[bB]?", text, re.ASCII)
    if not number or float(number[1]) <= 0:
        raise KeywordValueError(f'"{text}" is not a number of megabytes such as 100 or 0.5')
    return float(number[1])


_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):([0-5]?\d)(?::([0-5]?\d))?", re.ASCII)


def _time(text: str) -> int:
    match = _TIME.fullmatch(text)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total == 0:
        raise KeywordValueError(f'"{text}" is not a time such as 00:20:00 (HH:MM:SS, HH:MM or D-HH:MM:SS)')
    return total


def _arguments(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise KeywordValueError(f"a quote within {text} is not closed; add it") from None


def _modules(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in choices:
            raise KeywordValueError(f'"{text}" is no value of it; ' + nearest(text, choices))
        return text.lower()

    return read


def _argument_style(text: str) -> ArgumentStyle:
    try:
        return read_argument_style(text)
    except ValueError as error:
        raise KeywordValueError(str(error)) from None


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text.encode()).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise KeywordValueError(f"{text} is no regular expression: {error}") from None
    if groups > 1:
        raise KeywordValueError(
            f"{text} has {groups} groups; keep the one around the number, and write (?:...) for others"
        )
    return text


def _file_in_run_folder(text: str) -> str:
    path = PurePath(text)
    if path.is_absolute() or ".." in path.parts:
        raise KeywordValueError(f"{text} is not in the trial's own folder; write for instance results/metrics.json")
    return text


def _direction(text: str) -> Direction:
    return Direction(_one_of([direction.value for direction in Direction])(text))


KEYWORDS = (
    Keyword(
        "model_script",
        existing_file,
        "what is run for each trial: a script in Python (`.py`), R (`.R`) or bash (`.sh`), or any executable program",
    ),
    Keyword(
        "workflow",
        _one_of(("grid", "bayesian", "random")),
        "how hyperparameters are chosen: `grid` runs the listed sets, `bayesian` learns from what it has run, `random` "
        "draws them; see [Bayesian search](bayesian.md)",
    ),
    Keyword("nworkers", _whole_number(1), "trials at a time", also="ngpus"),
    Keyword(
        "worker_type",
        _text,
        "what a worker has: `cpu`, or a type of GPU such as `k80`; on one machine, any type stands for the "
        "GPUs that are there",
        also="gpu_type",
        default_shown="on one machine a GPU each, where there are any; on a cluster `cpu`",
    ),
    Keyword(
        "walltime",
        _time,
        "`HH:MM:SS`, `HH:MM` or `D-HH:MM:SS`: time for the whole job on a cluster; nothing is cut short on one machine",
        default_shown="`00:05:00`",
    ),
    Keyword(
        "run_workflow",
        _yes_or_no,
        "0: run the model once, now, here, with the default model; 1: run the workflow",
        also="use_candle",
    ),
    Keyword("dry_run", _yes_or_no, "1: read and check everything, show it, run nothing"),
    Keyword("dl_backend", _one_of(("keras", "pytorch")), "the deep-learning library that the script uses"),
    Keyword(
        "nthreads",
        _whole_number(1),
        "CPUs per worker; `OMP_NUM_THREADS` and its like say so to the model, unless you set them",
    ),
    Keyword("mem_per_cpu", _gigabytes, "gigabytes of memory per CPU, on a cluster"),
    Keyword("custom_sbatch_args", _arguments, "more arguments for `sbatch`, on a cluster"),
    Keyword("queue", _text, "partition, on a cluster", also="partition"),
    Keyword("project", _text, "account, on a cluster", also="account"),
    Keyword("supp_modules", _modules, "environment modules to load around the model"),
    Keyword("python_bin_path", _folder, "folder of the Python that runs the model"),
    Keyword("exec_python_module", _text, "environment module that provides Python"),
    Keyword("exec_r_module", _text, "environment module that provides R"),
    Keyword("supp_pythonpath", _folders, "folders added to the end of the model's `PYTHONPATH`"),
    Keyword("supp_r_libs", _folders, "folders added to the end of the model's `R_LIBS`"),
    Keyword(
        "extra_script_args", _arguments, "arguments for the interpreter, before the script: `-u -W ignore`, `--vanilla`"
    ),
    Keyword("prepare", _text, "a bash line run in the trial's run folder before the model: `mkdir -p results`"),
    Keyword(
        "hyperparams_as",
        _one_of(("variables", "arguments")),
        "`arguments`: the script is given the hyperparameters on its command line, `--batch-size 128`; see "
        "[scripts that nobody edited](model-scripts.md#scripts-that-nobody-edited)",
    ),
    Keyword(
        "argument_style",
        _argument_style,
        "what the arguments look like: `--my_name=value`, and names of options: `batch_size:-b`",
        default_shown="`--my-name value`",
    ),
    Keyword(
        "result_pattern",
        _pattern,
        "a regular expression (Python's); the value is its last match in the output, or what its first group matched",
    ),
    Keyword("result_file", _file_in_run_folder, "a JSON or CSV file that the script writes; the value is in it"),
    Keyword("result_key", _text, "where in `result_file` the value is: a name in JSON, a column of a CSV file"),
    Keyword(
        "default_model_file",
        existing_file,
        "a `[Global Params]` file in place of `&default_model`",
        also="candle_default_model_file",
    ),
    Keyword(
        "param_space_file",
        existing_file,
        "a file in place of `&param_space`",
        also="candle_param_space_file",
    ),
    Keyword("design_size", _whole_number(1), "bayesian: points spread over the space before the search learns"),
    Keyword(
        "propose_points",
        _whole_number(1),
        "bayesian: trials at a time after those, as far as there are workers",
        default_shown="`10`, or `nworkers` where that is more",
    ),
    Keyword("max_iterations", _whole_number(1), "bayesian: at most so many times `propose_points` trials after those"),
    Keyword("max_budget", _whole_number(1), "bayesian, random: at most so many trials in all"),
    Keyword(
        "sampler",
        _one_of(("candle", "tpe", "gp", "cmaes", "qmc", "random")),
        "bayesian: what proposes: candle's Gaussian process, or a sampler of Optuna's; see "
        "[other samplers](bayesian.md#other-samplers)",
    ),
    Keyword(
        "proposals",
        _one_of(("asynchronous", "batch")),
        "bayesian: `asynchronous`: a worker that is free gets the next point at once; `batch`: `propose_points` at a "
        "time, and all wait for the last of them, as in CANDLE",
    ),
    Keyword(
        "warm_start",
        _text,
        "bayesian: an earlier experiment, or a CSV file of results, of the same parameters, known to the search from "
        "the start",
    ),
    Keyword("restart_from_exp", _text, "continue an earlier experiment of this folder"),
    Keyword(
        "engine",
        _one_of(("auto", "local", "slurm")),
        "where trials run: `slurm` is a job on the cluster, `local` this machine; `auto`: SLURM where `sbatch` is "
        "found, else this machine",
    ),
    Keyword("direction", _direction, "`minimize` or `maximize` the value that the model returns"),
    Keyword(
        "seed",
        _whole_number(0),
        "makes the seeds of the trials repeatable",
        default_shown="drawn, and kept in `experiment.json`",
    ),
    Keyword("trial_timeout", _time, "time for one attempt at a trial, in the forms of `walltime`"),
    Keyword(
        "max_output",
        _megabytes,
        "megabytes that one attempt at a trial may print; one that prints more is ended and has failed",
    ),
    Keyword(
        "retries",
        _whole_number(0),
        "how often a trial that the machine interrupted is attempted again in one run",
    ),
    Keyword(
        "retry_failed",
        _whole_number(0),
        "how often a trial that the model failed is attempted again in one run; see [reliability](reliability.md)",
    ),
    Keyword(
        "max_failures",
        _whole_number(0),
        "start no more trials once so many have failed in one run; 0: never stop for that",
        default_shown="stop when the first 10 trials have all failed in the same way",
    ),
    Keyword(
        "auto_resubmit",
        _yes_or_no,
        "1: when the walltime ends with trials left, go on in a next job, until all are done or a job completes none",
    ),
)

BY_NAME = {keyword.name: keyword for keyword in KEYWORDS} | {
    keyword.also: keyword for keyword in KEYWORDS if keyword.also
}
