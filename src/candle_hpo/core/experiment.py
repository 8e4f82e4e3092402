"""An input file as it was understood: validated, typed, complete."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Literal

import msgspec

from candle_hpo.core.command_words import ARGUMENTS, Start, placeholders, start_of
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.fidelity import Fidelity, Levels
from candle_hpo.core.file_template import FileTemplate, Placed, names_in
from candle_hpo.core.objective import Direction, Objective, ResultFrom, name_of_value
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters

USUAL_BUDGET = 110  # trials of a Bayesian search, as in CANDLE


class Language(str, Enum):
    """What a model script is written in, by its suffix; any other file is a program by itself."""

    PYTHON = "Python"
    R = "R"
    BASH = "bash"
    PROGRAM = "program"

    @classmethod
    def of(cls, script: str) -> Language:
        """Return the language of the model script at this path."""
        suffix = script.rpartition(".")[2].lower() if "." in script else ""
        return {"py": cls.PYTHON, "r": cls.R, "sh": cls.BASH, "bash": cls.BASH}.get(suffix, cls.PROGRAM)


class ArgumentStyle(msgspec.Struct, frozen=True):
    """What hyperparameters look like as arguments on the model's command line.

    `prefix` comes before each name and `separator` before its value (a space makes the value a separate argument);
    with `dashes`, the underscores of a name become dashes. The words `before` come before each name, as `-p` does.
    `booleans` says how one is given: a `flag` that is there when true; one that has `no-` or `no` before its name when
    false; or a `value` like any other. `options` names the options of hyperparameters that are called otherwise on the
    command line, and `flags` those of a boolean one: its option for true and that for false.
    """

    prefix: str = "--"
    separator: str = " "
    dashes: bool = True
    before: tuple[str, ...] = ()
    booleans: Literal["flag", "no-", "no", "value"] = "flag"
    options: dict[str, str] = {}
    flags: dict[str, tuple[str, str]] = {}


NO_PRELOAD = ("none",)  # as `preload`: each trial starts a fresh interpreter


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The keywords of `&control`, one field each; the meaning of each is in `inputfile.keywords`.

    Paths are absolute, times are in seconds, memory is in gigabytes, output in megabytes.
    """

    model_script: str
    workflow: Literal["grid", "bayesian", "random"]
    nworkers: int = 1
    jobs: int = 1
    worker_type: str | None = None
    trials_per_gpu: int = 1
    gpus_per_trial: int = 1
    walltime: int = 300
    run_workflow: bool = True
    dry_run: bool = False
    dl_backend: Literal["keras", "pytorch"] | None = None
    preload: tuple[str, ...] = ()
    nthreads: int = 1
    mem_per_cpu: float = 7.0
    custom_sbatch_args: tuple[str, ...] = ()
    queue: str | None = None
    project: str | None = None
    supp_modules: tuple[str, ...] = ()
    python_bin_path: str | None = None
    exec_python_module: str | None = None
    exec_r_module: str | None = None
    supp_pythonpath: str | None = None
    supp_r_libs: str | None = None
    extra_script_args: tuple[str, ...] = ()
    prepare: str | None = None
    config_file: Placed | None = None
    stdin_file: Placed | None = None
    link: tuple[Placed, ...] = ()
    run_in: Literal["trial", "script"] = "trial"
    hyperparams_as: Literal["variables", "arguments"] = "variables"
    script_args: tuple[str, ...] | None = None
    argument_style: ArgumentStyle = ArgumentStyle()
    model_command: tuple[str, ...] | None = None
    result_pattern: str | None = None
    result_file: str | None = None
    result_key: str | None = None
    result_from: ResultFrom | None = None
    default_model_file: str | None = None
    param_space_file: str | None = None
    design_size: int = 10
    propose_points: int | None = None
    max_iterations: int = 10
    max_budget: int = USUAL_BUDGET
    sampler: Literal["candle", "tpe", "gp", "cmaes", "qmc", "random"] = "candle"
    proposals: Literal["asynchronous", "batch"] = "asynchronous"
    warm_start: str | None = None
    restart_from_exp: str | None = None
    engine: Literal["auto", "local", "slurm"] = "auto"
    objectives: str | None = None
    direction: Direction = Direction.MINIMIZE
    stopping: tuple[Literal["median", "asha", "best_few", "nan"], ...] = ()
    min_steps: int | None = None
    max_steps: int | None = None
    reduction_factor: int = 3
    fidelity: Fidelity | None = None
    seed: int | None = None
    trial_timeout: int | None = None
    on_timeout: Literal["fail", "take_value"] = "fail"
    max_output: float | None = None
    retries: int = 1
    retry_failed: int = 0
    max_failures: int | None = None
    auto_resubmit: bool = False

    @property
    def asked_in_prepare(self) -> set[str]:
        """The hyperparameters that the line `prepare` asks for by their names."""
        return set(re.findall(r"\bcandle_get_param\s+[\"']?([^\s\"'`();|&<>]+)", self.prepare or ""))

    def handed_besides(self, templates: Sequence[FileTemplate]) -> set[str]:
        """Return the hyperparameters that reach the script by its own files, or by `prepare`, whatever else does."""
        return names_in(templates) | self.asked_in_prepare

    def place_of(self, file: Placed) -> str:
        """Return the name of a file of the user's in a trial's working directory."""
        folder = self.model_script.rpartition("/")[0] + "/"
        return file.path[len(folder) :] if self.run_in == "script" and file.path.startswith(folder) else file.place

    @property
    def needs_own_folder(self) -> bool:
        """Whether its script finds files in its working directory that it could not have where the user stands."""
        return bool(self.config_file or self.stdin_file or self.link) or self.run_in == "script"

    @property
    def language(self) -> Language:
        """What the model script is written in."""
        return Language.PYTHON if self.start and self.start.is_python else Language.of(self.model_script)

    @property
    def start(self) -> Start | None:
        """How `model_command` starts the script; None: as is usual for its language."""
        return start_of(self.model_command) if self.model_command else None

    @property
    def host(self) -> Language:
        """The language whose model host runs the script; `PROGRAM`: none, since something else starts it."""
        return Language.PROGRAM if self.start and not self.start.is_python else self.language

    @property
    def argument_words(self) -> tuple[str, ...]:
        """What follows what starts the script: its arguments, with names in braces for what trials fill in."""
        before = self.start.words if self.start else ()
        if self.script_args is not None:
            return (*before, *self.script_args)
        is_asked_for = self.hyperparams_as == "arguments" and ARGUMENTS not in placeholders(before)
        return (*before, f"{{{ARGUMENTS}}}") if is_asked_for else before

    @property
    def objective(self) -> Objective:
        """What is optimized: what `objectives` names, else the script's one value."""
        return Objective(self.direction, self.objectives or name_of_value(self.result_pattern, self.result_key))

    @property
    def levels(self) -> Levels | None:
        """The levels that configurations are run at, one after the other; None without `fidelity`."""
        return None if self.fidelity is None else self.fidelity.levels(self.reduction_factor)

    @property
    def workers_of_a_job(self) -> int:
        """How many workers each of the jobs has on a cluster: as many in each, `nworkers` in all at least."""
        return -(-self.nworkers // self.jobs)

    @property
    def failure_policy(self) -> FailurePolicy:
        """What is attempted again, and when failures end the experiment."""
        return FailurePolicy(self.retries, self.retry_failed, self.max_failures)


class InputFile(msgspec.Struct, frozen=True):
    """One input file, read and found right.

    `text` is the file's text, with what was given on the command line in its place. `space` is of parameters for a
    `bayesian` or `random` search, and None where the workflow is not to be run (`run_workflow=0`), or resumes with the
    space of an earlier experiment (`restart_from_exp`, unless the file lists the sets of a grid): its section is not
    judged then.
    `templates` are the script's files in which hyperparameters are written.
    `notes` are things that the user should see, though nothing is wrong.
    """

    path: str
    text: str
    settings: Settings
    default_model: Hyperparameters
    space: GridSpace | ParametricSpace | None
    notes: tuple[str, ...] = ()
    templates: tuple[FileTemplate, ...] = ()
