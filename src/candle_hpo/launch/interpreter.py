"""Which interpreter runs the model: the user's, never the tool's own by accident."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import msgspec

from candle_hpo.core.command_words import PYTHON, Start, placeholders
from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.process.modules import environment_with
from candle_hpo.script.questions import ANSWER, ask, run_program

OLDEST_PYTHON = (3, 7)
# Python 2 understands it too, to be refused by its version.
_QUESTION = f"import sys; print({ANSWER!r} + '%d.%d.%d ' % sys.version_info[:3] + (sys.executable or ''))"


class Interpreter(msgspec.Struct, frozen=True):
    """An interpreter: its absolute path, and its name with its version, for people."""

    path: str
    name: str


def find_interpreter(settings: Settings, modules: tuple[str, ...]) -> Interpreter:
    """Return what runs the model script: the interpreter of its language with the modules loaded, or the script itself.

    Raises `InputError` where there is none, or it is too old, or a program cannot be executed; `MachineError` where the
    interpreter does not run.
    """
    start = settings.start
    if start and not start.is_python:
        return _starter(settings, start, modules)
    match settings.host:
        case Language.PYTHON:
            return find_python(settings, modules)
        case Language.R:
            asked: tuple[str, ...] = ("Rscript", "--version")
            advice = "set exec_r_module to the module that provides R, or put the folder of your Rscript on the PATH"
        case Language.BASH:
            asked, advice = ("bash", "--version"), "put its folder on the PATH"
        case Language.PROGRAM:
            return _program(Path(settings.model_script))
    environment = environment_with(modules)
    found = shutil.which(asked[0], path=environment.get("PATH", os.defpath))
    if found is None:
        raise InputError(f"there is no {asked[0]} on the PATH, which runs {Path(settings.model_script).name}; {advice}")
    done = run_program((found, *asked[1:]), environment)
    version = re.search(r"(\d+\.\d\S*)", done.stdout or done.stderr)  # R before 4.1: the errors
    name = f"{settings.language.value} {version[1]}" if version else settings.language.value
    return Interpreter(str(Path(found).absolute()), name)


def _starter(settings: Settings, start: Start, modules: tuple[str, ...]) -> Interpreter:
    """Return the Python that a `model_command` names in braces, else the program with which it begins."""
    names_python = PYTHON in placeholders([start.program, *start.words])
    python = find_python(settings, modules) if names_python else None
    if start.program != f"{{{PYTHON}}}":
        path = environment_with(modules).get("PATH", os.defpath)
        found = shutil.which(start.program, path=os.pathsep.join(filter(None, [settings.python_bin_path, path])))
        if found is None:
            raise InputError(
                f"model_command: there is no program {start.program}; put its folder on the PATH, or write its path"
            )
        python = python or Interpreter(str(Path(found).absolute()), start.program.rpartition("/")[2])
    assert python is not None  # noqa: S101  # one of the two was looked for
    return python


_HOW_TO_RUN = {
    ".ipynb": "this is a notebook; jupyter nbconvert --to script {name} makes {stem}.py of it, or {stem}.r of one in "
    'R: name that; or run it as it is, by model_command="papermill {{script}} out.ipynb -f {{CANDLE_PARAMS_FILE}}"',
    ".rmd": "this is a document of R Markdown; Rscript -e 'knitr::purl(\"{name}\")' makes {stem}.R of its code: "
    "name that",
    ".qmd": "this is a Quarto document; of code in R, Rscript -e 'knitr::purl(\"{name}\")' makes {stem}.R; of code in "
    "Python, quarto convert {name} makes a notebook, and jupyter nbconvert --to script {stem}.ipynb of that {stem}.py: "
    "name that",
    ".m": "this needs MATLAB or Octave; name a script run.sh that calls it, such as octave --no-gui {name}",
    ".py3": "this seems to be Python; call it {stem}.py",
}
_INTERPRETERS = {
    ".jl": "julia", ".pl": "perl", ".rb": "ruby", ".lua": "lua", ".js": "node", ".csh": "csh", ".zsh": "zsh",
}  # fmt: skip
_NO_SCRIPTS = {
    ".cfg", ".csv", ".ini", ".in", ".json", ".log", ".md", ".pdf", ".toml", ".txt", ".tsv", ".xml", ".yaml", ".yml",
}  # fmt: skip


def _program(script: Path) -> Interpreter:
    try:
        with script.open("rb") as file:
            first = file.read(1024)
    except OSError as error:
        if not os.access(script, os.X_OK):
            raise MachineError(f"{script} cannot be read: {error.strerror}; check it with ls -l") from None
        return Interpreter(str(script), "an executable program")  # it may be executed, and no more than that
    begins_as_script = first.startswith(b"#!")
    is_text = b"\0" not in first
    if is_text and not begins_as_script:
        raise InputError(f"model_script: {script}: {_how_to_run(script)}")
    if begins_as_script and first.partition(b"\n")[0].endswith(b"\r"):
        raise InputError(
            f"model_script: {script} has Windows line endings, so its first line names no program; "
            f"dos2unix {script.name} converts them"
        )
    if not os.access(script, os.X_OK):
        raise InputError(f"model_script: {script} is not executable; chmod +x {script.name}")
    return Interpreter(str(script), "an executable program")


def _how_to_run(script: Path) -> str:
    """Return how a text that the system cannot execute becomes a model script."""
    suffix = script.suffix.lower()
    if suffix in _HOW_TO_RUN:
        return _HOW_TO_RUN[suffix].format(name=script.name, stem=script.stem)
    if suffix in _NO_SCRIPTS:
        return f"a {suffix} file is not a script; name the script or program that is to be run"
    interpreter = _INTERPRETERS.get(suffix, "PROGRAM")
    return (
        "it is neither a script in Python (.py), R (.R) or bash (.sh) nor a program; for another language, begin it "
        f'with the line "#!/usr/bin/env {interpreter}", and make it executable: chmod +x {script.name}'
    )


def find_python(settings: Settings, modules: tuple[str, ...]) -> Interpreter:
    """Return the Python that runs the model: from `python_bin_path`, else the first on the PATH with the modules.

    A shim, which looks for the real one again at each start and from the folder of each start, is resolved here, once.
    Any other wrapper is taken as it is: it may set up what the model needs.

    Raises `InputError` where there is none, or it is too old; `MachineError` where it does not run.
    """
    environment = environment_with(modules)
    search = settings.python_bin_path or environment.get("PATH", os.defpath)
    named = settings.start.program if settings.start and settings.start.is_python else ""
    names = ("python3", "python") if named in ("", f"{{{PYTHON}}}") else (named,)
    found = next(filter(None, (shutil.which(name, path=search) for name in names)), None)
    where = f"in python_bin_path ({search})" if settings.python_bin_path else "on the PATH"
    if found is None and named:
        raise InputError(f"model_command: there is no {named} {where}; write {{python}} for the one that candle finds")
    if found is None:
        raise InputError(f"there is no python3 {where}; set python_bin_path to the folder of your Python")
    version, _, path = ask((found, "-c", _QUESTION), environment).partition(" ")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise InputError(f"{found} is Python {version}; the model needs {oldest} or newer (python_bin_path names one)")
    is_shim = Path(found).parent.name == "shims" and Path(path).is_file()  # pyenv, asdf, mise
    return Interpreter(path if is_shim else str(Path(found).absolute()), f"Python {version}")
