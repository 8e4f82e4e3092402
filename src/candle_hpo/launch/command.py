"""How a trial is started: its command line and its environment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.command_words import OF_A_TRIAL, PYTHON, SCRIPT, placeholders
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.trial import Trial
from candle_hpo.launch.handover.arguments import CommandLine
from candle_hpo.launch.handover.texts import as_bash, as_r
from candle_hpo.launch.measuring.objective import ResultSource
from candle_hpo.launch.preload import Preload, preload_of
from candle_hpo.process.group import Limits
from candle_hpo.process.modules import environment_of_script

_HOSTS = Path(__file__).parent / "hosts"
PYTHON_HOST, R_HOST, BASH_HOST = _HOSTS / "python_host.py", _HOSTS / "r_host.R", _HOSTS / "bash_host.sh"
WARM_HOST = _HOSTS / "python_warm_host.py"

# bash reads the file that BASH_ENV names first, and then runs the script as its main one, as by hand.
_WITH_BASH_HOST = ("env", f"BASH_ENV={BASH_HOST}")
_COMMANDS: dict[Language, Callable[[str, Settings], tuple[str, ...]]] = {
    Language.PYTHON: lambda python, its: (python, *_options(its), str(PYTHON_HOST), its.model_script),
    Language.R: lambda rscript, its: (rscript, *_options(its), str(R_HOST)),
    Language.BASH: lambda bash, its: (*_WITH_BASH_HOST, bash, *_options(its), its.model_script),
    Language.PROGRAM: lambda program, _: (program,),
}
_HOW_TO_REPORT = {
    Language.PYTHON: "leave a number in the global variable val_to_return",
    Language.R: "leave a number in the variable val_to_return",
    Language.BASH: "leave a number in the shell variable val_to_return",
    Language.PROGRAM: "write a number to the file that $CANDLE_RESULT_FILE names",
}

# What numerical libraries read to learn how many threads they may start.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

PARAMS_FILE = "CANDLE_PARAMS_FILE"

# The user's line runs in the shell that then becomes the model: what it exports, the model has. Where another
# interpreter is first on the PATH after it, a file in the trial's folder says which.
_PREPARE_THEN_RUN = """candle_before=$({first} || :)
eval "$1" || {{ status=$?
echo "candle: prepare ended with exit status $status" >&2
exit "$status"; }}
candle_after=$({first} || :)
[ "$candle_before" = "$candle_after" ] || printf %s "$candle_after" > "${{CANDLE_RESULT_FILE%/*}}/{file}"
shift
exec "$@"
"""
INTERPRETER_OF_PREPARE = "interpreter_of_prepare.txt"
_FIRST_ON_PATH = {
    Language.PYTHON: "command -v python3 || command -v python",
    Language.R: "command -v Rscript",
    Language.BASH: "command -v bash",
    Language.PROGRAM: ":",
}


class ModelCommand(msgspec.Struct, frozen=True):
    """What every trial of an experiment has in common: how the model is run. Can be sent to a worker.

    `interpreter` is the absolute path of what runs the script. `command` is how that is done, up to the script's own
    arguments, which `arguments` makes; `prepare` is a line of bash that is run before it, by the script
    `look_before_prepare`.
    `language` is what the script is written in; `host` is whose model host runs it.
    `modules` are loaded on the machine where the trial runs; `python_path` and `r_libs` are added to what is
    `PYTHONPATH` and `R_LIBS` then. `module` is the script's name as a module of Python, where it is run as one.
    `result` is where the value is found. `limits` are those of each attempt; `seed` is the experiment's, from which
    each trial's is made. With `preload`, trials are forked from a warm host, by `warm_host.WarmHost`.
    """

    command: tuple[str, ...]
    arguments: CommandLine
    prepare: str
    look_before_prepare: str
    interpreter: str
    language: Language
    host: Language
    script: str
    module: str
    result: ResultSource
    takes_value_so_far: bool
    modules: tuple[str, ...]
    threads: int
    python_path: str
    r_libs: str
    experiment: str
    seed: int
    limits: Limits
    preload: Preload | None = None

    def command_of(self, hyperparameters: Mapping[str, object], environment: Mapping[str, str]) -> list[str]:
        """Return the command line for a trial with these hyperparameters, and its own variables.

        Raises `KeyError` for a name in braces that has no value.
        """
        others = {name: environment[name] for name in OF_A_TRIAL}
        others |= {SCRIPT: self.script, PYTHON: self.interpreter}
        return [*self.command, *self.arguments.of(hyperparameters, others)]

    def after_prepare(self, command: Sequence[str]) -> list[str]:
        """Return a command line that runs another one, after the line `prepare` where there is one."""
        if not self.prepare:
            return list(command)
        return ["bash", "-c", self.look_before_prepare, "prepare", self.prepare, *command]

    def hyperparameters_in_its_language(self, hyperparameters: Mapping[str, object]) -> tuple[str, bytes] | None:
        """Return the hyperparameters as this language's model host reads them, with the suffix of their file."""
        match self.host:
            case Language.R:
                return ".R", as_r(hyperparameters)
            case Language.BASH:
                return ".sh", as_bash(hyperparameters)
            case _:
                return None

    @property
    def how_to_report(self) -> str:
        """What to do for a model to leave a value."""
        return f"{_HOW_TO_REPORT[self.host]} (or set result_pattern)"


def modules_of(settings: Settings) -> tuple[str, ...]:
    """Return the environment modules around the model: those that supplement it, and those with its interpreter."""
    return (*settings.supp_modules, *filter(None, [settings.exec_python_module, settings.exec_r_module]))


def _options(settings: Settings) -> tuple[str, ...]:
    """Return the arguments for the interpreter."""
    return (*(settings.start.options if settings.start else ()), *settings.extra_script_args)


def model_command(
    settings: Settings, interpreter: str, seed: int, experiment: Path, site_modules: tuple[str, ...] = ()
) -> ModelCommand:
    """Return how the model of these settings is run; `site_modules` are loaded before the experiment's own."""
    megabytes = settings.max_output
    start = settings.start
    if start is None or start.is_python:
        command = _COMMANDS[settings.host](interpreter, settings)
    else:  # the name of a Python that candle has found may be in it
        names_python = PYTHON in placeholders([start.program, *start.words])
        command = (start.program if names_python and start.program != f"{{{PYTHON}}}" else interpreter,)
    first = ":" if settings.python_bin_path else _FIRST_ON_PATH[settings.host]
    return ModelCommand(
        command=command,
        arguments=CommandLine(
            settings.argument_words,
            settings.argument_style,
            to_python=settings.language is Language.PYTHON or settings.model_script.endswith(".ipynb"),
        ),
        prepare=settings.prepare or "",
        look_before_prepare=_PREPARE_THEN_RUN.format(first=first, file=INTERPRETER_OF_PREPARE),
        interpreter=interpreter,
        language=settings.language,
        host=settings.host,
        script=settings.model_script,
        module=start.module if start else "",
        result=ResultSource(
            settings.result_pattern,
            settings.result_file,
            settings.result_key,
            settings.objective.name,
            settings.result_from,
            settings.direction,
        ),
        takes_value_so_far=settings.on_timeout == "take_value",
        modules=(*site_modules, *modules_of(settings)),
        threads=settings.nthreads,
        python_path=settings.supp_pythonpath or "",
        r_libs=settings.supp_r_libs or "",
        experiment=str(experiment),
        seed=seed,
        limits=Limits(settings.trial_timeout, None if megabytes is None else int(megabytes * 1_000_000)),
        preload=preload if isinstance(preload := preload_of(settings), Preload) else None,
    )


def trial_environment(
    model: ModelCommand, trial: Trial, paths: TrialPaths, devices: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a trial: the user's own, and what the model may want to know."""
    environment = {
        **dict.fromkeys(THREAD_VARIABLES, str(model.threads)),
        **environment_of_script(model.modules, model.python_path, model.r_libs),
        **devices,
        "CANDLE_TRIAL_ID": trial.id,
        "CANDLE_TRIAL_NUMBER": str(trial.number),
        "CANDLE_SEED": str(seed_of_trial(model.seed, trial.number_of_line)),
        PARAMS_FILE: str(paths.hyperparameters),
        "CANDLE_RESULT_FILE": str(paths.reported),
        "CANDLE_REPORTS_FILE": str(paths.reports if model.result.is_reported else paths.reports_unread),
        "CANDLE_EXPERIMENT_DIR": model.experiment,
        "CANDLE_CHECKPOINT_DIR": str(paths.checkpoint),
    }
    environment |= _for_its_host(model, environment)
    return environment


def _for_its_host(model: ModelCommand, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the language's model host learns from the environment; the host takes it away again."""
    match model.host:
        case Language.PYTHON if model.module:
            return {"CANDLE_MODEL_MODULE": model.module}
        case Language.R:
            return {"CANDLE_MODEL_SCRIPT": model.script}
        case Language.BASH:
            return {"CANDLE_OWN_BASH_ENV": environment.get("BASH_ENV", "")}
        case _:
            return {}


def seed_of_trial(seed: int, number: int) -> int:
    """Return a trial's seed, from 0 to 2**31 - 1: the same for every attempt, unlike any other trial's.

    One that continues another has that one's, by its number.
    """
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
