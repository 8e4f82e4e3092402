"""What a script runs with on this machine: asked once, in bounded time; whatever cannot be found out stops nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from candle_hpo.core.errors import CandleError, MachineError
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.provenance import GitState, ScriptState, Surroundings
from candle_hpo.process.modules import environment_of_script
from candle_hpo.script.questions import ANSWER, WITH_MODULES_OF_PYTHON, ask, run_program
from candle_hpo.script.reading import read_script, script_text
from candle_hpo.script.version import ScriptWatch

MOST_SECONDS = 20.0  # for all questions together

# The folders that installers leave say name and version in their own names (PEP 376), to any Python. importlib.metadata
# would open a file in each, which takes seconds on a network file system. Nothing is imported.
_PYTHON = f"""
{WITH_MODULES_OF_PYTHON}
found = {{}}
for folder in [os.path.dirname(os.path.realpath(sys.argv[1])), *sys.path]:
    try:
        entries = sorted(os.listdir(folder or "."))
    except OSError:
        continue
    for entry in entries:
        stem, kind = os.path.splitext(entry)
        if kind not in (".dist-info", ".egg-info"):
            continue
        name, _, version = stem.partition("-")
        version = version.partition("-")[0]
        if not version:
            try:
                with open(os.path.join(folder, entry, "PKG-INFO"), errors="replace") as file:
                    version = re.search("(?m)^Version: *(.*)", file.read(10000)).group(1)
            except (OSError, AttributeError):
                pass
        found.setdefault(re.sub("[-_.]+", "-", name).lower(), version)
print({ANSWER!r} + json.dumps([("Python %d.%d.%d" % sys.version_info[:3]), found]))
"""
# installed.packages() reads the descriptions of all; these are what the script loads, and what that needs.
_R = f"""
todo <- commandArgs(TRUE); found <- character()
while (length(todo)) {{
  name <- todo[1]; todo <- todo[-1]
  if (name %in% c(names(found), "R")) next
  fields <- c("Version", "Priority", "Depends", "Imports", "LinkingTo")
  said <- suppressWarnings(packageDescription(name, fields = fields))
  if (!is.list(said) || identical(said$Priority, "base")) next
  found[name] <- said$Version
  needs <- unlist(strsplit(as.character(unlist(said[c("Depends", "Imports", "LinkingTo")])), ","))
  todo <- c(todo, trimws(sub("[(].*", "", needs[!is.na(needs)])))
}}
cat("{ANSWER}[[\\"R ", paste(R.version$major, R.version$minor, sep = "."), "\\"", sep = "")
cat(sprintf(', ["%s", "%s"]', names(found), found), "]]\\n", sep = "")
"""


def surroundings(settings: Settings, interpreter: str, modules: Sequence[str], script: ScriptWatch) -> Surroundings:
    """Return what the script of these settings would run with here, with these environment modules loaded."""
    questions: dict[str, Callable[[], Any]] = {
        "the script": script.state,
        "the interpreter and its packages": lambda: _interpreter(settings, interpreter, tuple(modules)),
        "the GPUs": gpus_of_this_machine,
        "the repository of the script": lambda: _git(Path(settings.model_script)),
    }
    answers, failed = asked_together(questions, MOST_SECONDS)
    state: ScriptState | None = answers.get("the script")
    name, packages = answers.get("the interpreter and its packages") or ("", {})
    return Surroundings(
        script=state,
        interpreter=name,
        packages=packages,
        gpus=answers.get("the GPUs") or (),
        git=answers.get("the repository of the script"),
        unknown=tuple(f"{name}: {why}" for name, why in failed.items()),
    )


def asked_together(questions: Mapping[str, Callable[[], Any]], seconds: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the answers that came in time, and why the others did not, in the order of the questions.

    Each has its own thread, which nobody waits for at the end: a program on a file system that hangs cannot be ended.
    """
    answers: dict[str, Any] = {}
    failed: dict[str, str] = {}

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            answers[name] = question()
        except Exception as error:  # whatever is wrong here: the other answers may say why
            text = str(error) if isinstance(error, CandleError | OSError | ValueError) else repr(error)
            failed[name] = " ".join(text.split())[:300]

    threads = {name: threading.Thread(target=ask, args=(name, each), daemon=True) for name, each in questions.items()}
    end = time.monotonic() + seconds
    for name, thread in list(threads.items()):
        try:
            thread.start()
        except RuntimeError as error:  # too many processes
            failed[name] = f"{error}"
            del threads[name]
    for name, thread in threads.items():
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            failed[name] = f"there was no answer within {seconds:.0f} s"
    return (
        {name: each for name, each in answers.items() if name not in failed},
        {name: failed[name] for name in questions if name in failed},
    )


def _interpreter(settings: Settings, interpreter: str, modules: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return the name of the interpreter with its version, and the versions of its packages, by their names."""
    environment = environment_of_script(modules, settings.supp_pythonpath, settings.supp_r_libs)
    match settings.host:
        case Language.PYTHON:
            name, packages = json.loads(
                ask([interpreter, "-c", _PYTHON, settings.model_script], environment, MOST_SECONDS)
            )
            return name, dict(packages)
        case Language.R:
            text = script_text(Path(settings.model_script))
            loaded = [each.name for each in read_script(text, Language.R).modules]
            ((name, *found),) = json.loads(ask([interpreter, "-e", _R, *loaded], environment, MOST_SECONDS))
            return name, dict(found)
        case Language.BASH:
            version = re.search(r"(\d+\.\d\S*)", _said([interpreter, "--version"], environment))
            return f"bash {version[1]}" if version else "bash", {}
        case Language.PROGRAM:
            return "", {}


def gpus_of_this_machine() -> tuple[str, ...]:
    """Return the name and the driver of each NVIDIA GPU, as nvidia-smi says; none where there is no such program.

    Raises `MachineError` where it does not answer.
    """
    if shutil.which("nvidia-smi") is None:
        return ()
    said = _said(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], os.environ)
    pairs = [line.rpartition(",") for line in said.splitlines() if "," in line]
    return tuple(f"{name.strip()}, driver {driver.strip()}" for name, _, driver in pairs)


def _git(script: Path) -> GitState | None:
    """Return the state of the repository that a script lies in; None where it lies in none, or there is no git."""
    script = script.resolve()
    if shutil.which("git") is None:
        return None
    # Nothing of the repository is written, not even git's index, and none of its programs is run.
    git = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(script.parent)]
    try:
        commit = _said([*git, "rev-parse", "--verify", "HEAD"], os.environ).strip()
    except MachineError:  # no repository, or none with a commit
        return None
    try:
        is_known = bool(_said([*git, "ls-files", "--", script.name], os.environ).strip())
        changed = _said([*git, "status", "--porcelain", "--untracked-files=no"], os.environ)
    except MachineError:
        return GitState(commit, None)
    return GitState(commit, bool(changed.strip()) or not is_known)


def _said(command: Sequence[str], environment: Mapping[str, str]) -> str:
    return run_program(command, environment, MOST_SECONDS).stdout
