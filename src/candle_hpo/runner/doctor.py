"""What others need to know of a machine, and of an experiment on it, to help from afar: `candle doctor`.

A section is some lines, the first of which says the most. Each is asked for by itself, in bounded time: what does not
answer or fails says so in its place.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from candle_hpo import __version__
from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.engine.batch.slurm_environment import for_questions
from candle_hpo.engine.devices import usable_cpus
from candle_hpo.record.experiment import Experiment
from candle_hpo.runner.doctor_experiment import experiment_questions
from candle_hpo.runner.redaction import REMOVED, is_secret_name, redaction
from candle_hpo.script.questions import run_program
from candle_hpo.script.surroundings import asked_together, gpus_of_this_machine
from candle_hpo.user_environment import user_environment

_SECONDS = 30.0  # for all questions together
_PROGRAM_SECONDS = 20.0
_MOST_LINES = 60  # of what a program says
_EXTRAS = ("dataframe", "dashboard")
_PROGRAMS = ("python", "python3", "Rscript", "bash")
_BATCH_QUESTIONS = (
    ("sinfo", "--version"),
    ("scontrol", "ping"),
    ("sinfo", "--format=%P %a %l %D %T %G"),
    ("sacct", "--version"),
)
_OTHER_BATCH_SYSTEMS = ("qsub", "bsub", "flux", "condor_submit")
# Nothing else of the environment is shown. What others set may be called like these and be a secret: see redaction.
_VARIABLES = re.compile(
    r"(?:SLURM|SBATCH|SRUN|SALLOC|SQUEUE|SINFO|SCANCEL|SCONTROL|CANDLE)_\w+|CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS|PATH"
    r"|PYTHONPATH|BASH_ENV|LD_LIBRARY_PATH|R_LIBS\w*|VIRTUAL_ENV|CONDA_PREFIX|CONDA_DEFAULT_ENV|LOADEDMODULES|MODULEPATH|LANG|LC_ALL|TMPDIR|SHELL"
)

Section = tuple[str, list[str]]


def examine(experiment: Experiment | None, directory: Path) -> list[Section]:
    """Return the sections, by their titles; without an experiment, those of the machine as seen from a directory."""
    folders = {"here": directory, "temporary files": Path(os.environ.get("TMPDIR", "/tmp"))}  # noqa: S108
    folders |= {"home": Path(os.environ["HOME"])} if "HOME" in os.environ else {}
    folders |= {} if experiment is None else {"the experiment": experiment.paths.root}
    questions: dict[str, Callable[[], list[str]]] = {
        "Versions": _versions,
        "System": _system,
        "File systems": lambda: _file_systems(folders),
        "Limits": _limits,
        "Interpreters": _interpreters,
        "Site": _site,
        "Batch system": _batch_system,
        "GPUs": _gpus,
        "Environment": _environment,
        **({} if experiment is None else experiment_questions(experiment)),
    }
    redacted = redaction(user_environment())
    found = _answers(questions, _SECONDS)
    return [(title, [redacted(line) for line in lines] or ["nothing"]) for title, lines in found.items()]


def _answers(questions: dict[str, Callable[[], list[str]]], seconds: float) -> dict[str, list[str]]:
    """Return the answers to questions that are asked at the same time, or why there is none."""
    answers, failed = asked_together(questions, seconds)
    return {name: answers[name] if name in answers else [_unknown(failed[name])] for name in questions}


def _unknown(why: str) -> str:
    return f"could not be determined: {why}"


def _versions() -> list[str]:
    lines = [f"candle {__version__}, Python {platform.python_version()}, {sys.executable}"]
    for requirement in importlib.metadata.requires("candle-hpo") or ():
        name, _, condition = requirement.partition(";")
        name, extra = re.split(r"[^\w.-]", name.strip())[0], re.search(r"extra == ['\"](.+?)['\"]", condition)
        if extra is None or extra[1] in _EXTRAS:
            try:
                lines.append(f"{name} {importlib.metadata.version(name)}")
            except importlib.metadata.PackageNotFoundError:
                lines.append(f"{name}: not installed (needed if {condition.strip() or 'candle is to run'})")
    return lines


def _system() -> list[str]:
    import psutil

    memory, load = psutil.virtual_memory(), os.getloadavg()
    lines = [
        platform.platform(),
        f"C library: {' '.join(platform.libc_ver()) or 'unknown'}",
        f"CPUs: {usable_cpus()} of {os.cpu_count()} usable; load {load[0]:.1f} {load[1]:.1f} {load[2]:.1f}",
        f"memory: {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GB available",
        f"time: {time.strftime('%Y-%m-%d %H:%M:%S %z')}",
        f"container: {_container()}",
    ]
    try:
        lines.append(f"distribution: {platform.freedesktop_os_release().get('PRETTY_NAME', 'unknown')}")
    except OSError:
        lines.append("distribution: unknown")
    return lines


def _container() -> str:
    """Return what shows that this is a container: the files that Docker and Podman make, Apptainer's variables."""
    signs = [file for file in ("/.dockerenv", "/run/.containerenv", "/.singularity.d") if Path(file).exists()]
    signs += [name for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER") if name in os.environ]
    return ", ".join(signs) or "no sign of one"


def _file_systems(folders: dict[str, Path]) -> list[str]:
    import psutil

    mounted = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    lines = []
    for name, folder in folders.items():
        try:
            whole = folder.resolve()
            mount = next((place for place in (whole, *whole.parents) if place in mounted), None)
            kind = "unknown" if mount is None else f"{mounted[mount]} ({mount})"
            lines.append(f"{name}: {kind}, {shutil.disk_usage(whole).free / 2**30:.1f} GB free: {whole}")
        except OSError as error:
            lines.append(f"{name}: {_unknown(str(error))}")
    return lines


def _limits() -> list[str]:
    lines = []
    for name, number in (
        ("open files (ulimit -n)", resource.RLIMIT_NOFILE),
        ("processes (ulimit -u)", resource.RLIMIT_NPROC),
        ("file size (ulimit -f)", resource.RLIMIT_FSIZE),
        ("virtual memory (ulimit -v)", resource.RLIMIT_AS),
    ):
        soft, hard = ("unlimited" if each == resource.RLIM_INFINITY else each for each in resource.getrlimit(number))
        lines.append(f"{name}: {soft}, hard {hard}")
    return lines


def _interpreters() -> list[str]:
    path = user_environment().get("PATH", os.defpath)
    found = {name: shutil.which(name, path=path) for name in _PROGRAMS}
    answers = _said_by([(program, "--version") for program in found.values() if program], user_environment())
    short, lines = [], []
    for name, program in found.items():
        said = answers[f"{program} --version"][0] if program else "not on the PATH"
        version = re.search(r"\d+(\.\d+)+", said)
        short.append(f"{name} {version[0]}" if version else f"{name}: {said}")
        lines.append(f"{program or name}: {said}")
    return [", ".join(short), *lines]


def _site() -> list[str]:
    chosen = choose_site()
    return [
        f"{chosen.name}, because {chosen.reason}",
        f"file: {chosen.file}",
        *(
            f"worker type {name}: partition {kind.partition}, GPU {kind.gpu}, {kind.gpus_per_node} a node"
            for name, kind in chosen.site.worker_types.items()
        ),
        f"modules: {' '.join(chosen.site.modules) or 'none'}",
    ]


def _batch_system() -> list[str]:
    others = [f"{program} is on the PATH" for program in _OTHER_BATCH_SYSTEMS if shutil.which(program)]
    if shutil.which("sinfo") is None:
        return ["no SLURM: there is no sinfo on the PATH", *others]
    said = _said_by(_BATCH_QUESTIONS, for_questions(user_environment()))
    version, controllers, *_ = said.values()
    lines = [line for command, answer in said.items() for line in (f"$ {command}", *(f"  {each}" for each in answer))]
    return [f"{version[-1]}; {controllers[-1]}", *lines, *others]


def _said_by(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what each of these programs says in this environment, a line or more."""
    return _answers(
        {" ".join(command): partial(_said, command, environment) for command in commands}, _PROGRAM_SECONDS + 1
    )


def _said(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return what a program says; raise `MachineError` where it does not."""
    done = run_program(command, environment, _PROGRAM_SECONDS, may_fail=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    more = [f"… and {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    failed = [f"exit status {done.returncode}"] if done.returncode else []
    return [*failed, *lines[:_MOST_LINES], *more] or ["nothing"]


def _gpus() -> list[str]:
    visible = f"CUDA_VISIBLE_DEVICES={user_environment().get('CUDA_VISIBLE_DEVICES', '(not set)')}"
    try:
        gpus = list(gpus_of_this_machine())
    except MachineError as error:
        return [_unknown(str(error)), visible]
    return [f"{len(gpus)} here" if gpus else "none here that nvidia-smi knows", *gpus, visible]


def _environment() -> list[str]:
    shown = sorted(name for name in user_environment() if _VARIABLES.fullmatch(name))
    return [
        f"{len(shown)} of {len(user_environment())} variables are shown",
        *(f"{name}={REMOVED if is_secret_name(name) else user_environment()[name]}" for name in shown),
    ]
