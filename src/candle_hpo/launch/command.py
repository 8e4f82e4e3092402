"""How a trial is started: its command line and its environment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from candle_hpo.core.command_words import CONFIG, CONFIG_VARIABLE, OF_A_TRIAL, PYTHON, SCRIPT, placeholders
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.file_template import FileTemplate, Placed, names_in
from candle_hpo.core.objective import THE_VALUE, ResultFrom
from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.trial import Trial
from candle_hpo.launch.handover.arguments import CommandLine
from candle_hpo.launch.handover.texts import as_bash, as_r
from candle_hpo.launch.measuring.objective import ResultSource
from candle_hpo.launch.preload import Preload, preload_of
from candle_hpo.launch.prepare import shell_of_prepare
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


class ModelCommand(msgspec.Struct, frozen=True):
    """What every trial of an experiment has in common: how the model is run. Can be sent to a worker.

    `interpreter` is the absolute path of what runs the script. `command` is how that is done, up to the script's own
    arguments, which `arguments` makes; `prepare` is a line of bash that is run before it, by the command `shell`.
    `language` is what the script is written in; `host` is whose model host runs it.
    `modules` are loaded on the machine where the trial runs; `python_path` and `r_libs` are added to what is
    `PYTHONPATH` and `R_LIBS` then. `module` is the script's name as a module of Python, where it is run as one.
    `result` is where the value is found. `limits` are those of each attempt; `seed` is the experiment's, from which
    each trial's is made. `templates` are written into each trial's working directory: `config` is there, and so is
    `stdin`, unless it is a whole path; `links` are made there. With `copied`, it has a copy of these files of the
    script's folder. With `preload`, trials are forked from a warm host, by `warm_host.WarmHost`.
    """

    command: tuple[str, ...]
    arguments: CommandLine
    prepare: str
    shell: tuple[str, ...]
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
    templates: tuple[FileTemplate, ...] = ()
    config: str = ""
    stdin: str = ""
    links: tuple[Placed, ...] = ()
    copied: tuple[str, ...] = ()
    preload: Preload | None = None

    def script_in(self, directory: Path) -> str:
        """Return the path of the script that a trial in this working directory runs: its own copy, or the script."""
        return str(directory / Path(self.script).name) if self.copied else self.script

    def command_of(
        self, hyperparameters: Mapping[str, object], environment: Mapping[str, str], directory: Path
    ) -> list[str]:
        """Return the command line for a trial with these hyperparameters, and its own variables.

        Raises `KeyError` for a name in braces that has no value.
        """
        script = self.script_in(directory)
        others = {name: environment[name] for name in OF_A_TRIAL if name in environment}
        others |= {SCRIPT: script, PYTHON: self.interpreter}
        if self.config:
            others[CONFIG] = environment[CONFIG_VARIABLE]
        command = [script if word == self.script else word for word in self.command]
        return [*command, *self.arguments.of(hyperparameters, others, names_in(self.templates))]

    def files(self, hyperparameters: Mapping[str, object]) -> dict[str, bytes]:
        """Return the files that a trial with these hyperparameters finds, by their names in its working directory.

        Raises `NotWritable`.
        """
        return {template.place: template.data(hyperparameters) for template in self.templates}

    def hyperparameters_in_its_language(self, hyperparameters: Mapping[str, object]) -> dict[str, bytes]:
        """Return the hyperparameters as the model host and the line `prepare` read them, by suffixes of their files."""
        texts = {".R": as_r} if self.host is Language.R else {}
        if self.host is Language.BASH or self.prepare:
            texts[".sh"] = as_bash
        return {suffix: text(hyperparameters) for suffix, text in texts.items()}

    @property
    def how_to_report(self) -> str:
        """What to do for a model to leave a value."""
        return f"{_HOW_TO_REPORT[self.host]} (or set result_pattern)"


def result_source(settings: Settings) -> ResultSource:
    """Return where the value of a trial is: of a script that reports what `objectives` names, in its last report."""
    choice = settings.result_from
    if settings.objectives is not None and settings.result_pattern is None and settings.result_file is None:
        choice = choice or ResultFrom("last")
    return ResultSource(
        settings.result_pattern,
        settings.result_file,
        settings.result_key,
        settings.objective.name,
        choice,
        settings.direction,
        tuple(map(settings.place_of, settings.link)),
    )


def modules_of(settings: Settings) -> tuple[str, ...]:
    """Return the environment modules around the model: those that supplement it, and those with its interpreter."""
    return (*settings.supp_modules, *filter(None, [settings.exec_python_module, settings.exec_r_module]))


def _options(settings: Settings) -> tuple[str, ...]:
    """Return the arguments for the interpreter."""
    return (*(settings.start.options if settings.start else ()), *settings.extra_script_args)


def model_command(
    settings: Settings,
    interpreter: str,
    seed: int,
    experiment: Path,
    site_modules: tuple[str, ...] = (),
    templates: tuple[FileTemplate, ...] = (),
    copied: tuple[str, ...] = (),
) -> ModelCommand:
    """Return how the model of these settings is run; `site_modules` are loaded before the experiment's own."""
    megabytes = settings.max_output
    config, stdin = settings.config_file, settings.stdin_file
    written = [template.path for template in templates]
    return ModelCommand(
        command=_words_before_arguments(settings, interpreter),
        arguments=CommandLine(
            settings.argument_words,
            settings.argument_style,
            to_python=settings.language is Language.PYTHON or settings.model_script.endswith(".ipynb"),
        ),
        prepare=settings.prepare or "",
        shell=shell_of_prepare(settings),
        interpreter=interpreter,
        language=settings.language,
        host=settings.host,
        script=settings.model_script,
        module=settings.start.module if settings.start else "",
        result=result_source(settings),
        takes_value_so_far=settings.on_timeout == "take_value",
        modules=(*site_modules, *modules_of(settings)),
        threads=settings.nthreads,
        python_path=settings.supp_pythonpath or "",
        r_libs=settings.supp_r_libs or "",
        experiment=str(experiment),
        seed=seed,
        limits=Limits(settings.trial_timeout, None if megabytes is None else int(megabytes * 1_000_000)),
        templates=templates,
        config=settings.place_of(config) if config else "",
        stdin=(settings.place_of(stdin) if stdin.path in written else stdin.path) if stdin else "",
        links=tuple(Placed(link.path, settings.place_of(link)) for link in settings.link),
        copied=copied,
        preload=preload if isinstance(preload := preload_of(settings), Preload) else None,
    )


def _words_before_arguments(settings: Settings, interpreter: str) -> tuple[str, ...]:
    """Return what starts the script, before whatever the arguments are."""
    start = settings.start
    if start is None or start.is_python:
        return _COMMANDS[settings.host](interpreter, settings)
    names_python = PYTHON in placeholders([start.program, *start.words])  # that which candle has found may be in it
    return (start.program if names_python and start.program != f"{{{PYTHON}}}" else interpreter,)


def trial_environment(
    model: ModelCommand, trial: Trial, paths: TrialPaths, devices: Mapping[str, str], directory: Path
) -> dict[str, str]:
    """Return the environment of a trial in this directory: the user's own, and what the model may want to know."""
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
    if model.config:
        environment[CONFIG_VARIABLE] = str(directory / model.config)
    environment |= _for_its_host(model, environment, directory)
    return environment


def _for_its_host(model: ModelCommand, environment: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return what the language's model host learns from the environment; the host takes it away again."""
    match model.host:
        case Language.PYTHON:
            named = model.result.objective if model.result.is_reported and model.result.objective != THE_VALUE else ""
            variables = {"CANDLE_MODEL_MODULE": model.module, "CANDLE_OBJECTIVE": named}
            return {name: value for name, value in variables.items() if value}
        case Language.R:
            return {"CANDLE_MODEL_SCRIPT": model.script_in(directory)}
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
