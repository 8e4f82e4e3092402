"""Whether the interpreter of a model script would find what the script imports."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.command_words import PYTHON, placeholders
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.launch.command import modules_of
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.launch.preload import Preload, preload_of
from candle_hpo.process.modules import environment_of_script
from candle_hpo.script.questions import find_modules
from candle_hpo.script.words import AddedFolder, Mention, ScriptReading


def has_known_interpreter(settings: Settings) -> bool:
    """Return whether a script runs in the interpreter that was found for it, which can then be asked about it."""
    names_python = PYTHON in placeholders(settings.model_command or ())
    return settings.host is settings.language or (settings.language is Language.PYTHON and names_python)


def notes_on_imports(
    reading: ScriptReading, settings: Settings, interpreter: Interpreter, site_modules: Sequence[str]
) -> list[str]:
    """Return notes on modules that a script imports and its interpreter would not find, or not the usual ones.

    Nothing of them is run. Raises `MachineError` where the interpreter does not run.
    """
    script, language, modules = Path(settings.model_script).name, settings.language, reading.modules
    if not has_known_interpreter(settings):
        return []
    if settings.run_in == "script":  # a copy of its folder is where it runs
        beside = Path(settings.model_script).parent
        folders = (AddedFolder(each.line, str(beside / each.path) if each.path else "") for each in reading.folders)
        reading = msgspec.structs.replace(reading, folders=tuple(folders))
    python_path, module = settings.supp_pythonpath or "", settings.start.module if settings.start else ""
    if module:  # from the folder of its package
        python_path += f"{os.pathsep}{Path(settings.model_script).parents[module.count('.')]}"
    environment = environment_of_script((*site_modules, *modules_of(settings)), python_path, settings.supp_r_libs)
    preload = preload_of(settings)
    beforehand = [name.partition(".")[0] for name in preload.modules] if isinstance(preload, Preload) else []
    names = [each.name for each in modules]
    asked = [*names, *beforehand]
    missing, hidden = find_modules(asked, settings.model_script, language, interpreter.path, environment)
    kind = "package" if language is Language.R else "module"
    notes = [
        f"preload: the module {name} is not installed for {interpreter.path}; there is nothing to import beforehand"
        for name in beforehand
        if name in missing and name not in names
    ]
    for each in modules:
        if each.name in missing and not _is_found_otherwise(each, reading, missing):
            what = f"the {kind} {each.name} is not installed for {interpreter.path}"
            advice = "the script may do without it" if each.optional else _how_to_install(each, language, interpreter)
            notes.append(f"{script}:{each.line}: {what}; {advice}{_on_folders(each, reading)}")
    for name, path in hidden.items():
        notes.append(
            f'{path} has the name of the module {name}: whatever imports "{name}", libraries included, may get '
            "this file in its place; call it something else"
        )
    return [*notes, *([] if module else _on_relative_import(reading, script))]


def _is_found_otherwise(module: Mention, reading: ScriptReading, missing: Collection[str]) -> bool:
    """Return whether there is another module in its place, or a folder that the script has added before has it."""
    if any(module.name in each and not each <= {*missing} for each in reading.alternatives):
        return True
    folders = [Path(each.path) for each in reading.folders if each.line < module.line and each.path]
    names = (module.name, f"{module.name}.py", f"{module.name}.*.so")
    return any(next(folder.glob(name), None) for folder in folders if folder.is_absolute() for name in names)


def _on_folders(module: Mention, reading: ScriptReading) -> str:
    """Return what to say of the folders that the script has added before."""
    before = [each.path for each in reading.folders if each.line < module.line]
    relative = next((path for path in before if path and not Path(path).is_absolute()), None)
    if relative is not None:
        return (
            f'; the script adds "{relative}" to sys.path, which is looked for where a trial runs: begin it with '
            "os.path.dirname(__file__)"
        )
    return "; the script changes sys.path, and may find it then" if "" in before else ""


def _on_relative_import(reading: ScriptReading, script: str) -> Iterator[str]:
    found = reading.relative_import
    if found is not None and not found.optional:
        module = found.name.lstrip(".")
        yield (
            f"{script}:{found.line}: a relative import (from {found.name} import …) fails in a script that is not run "
            f'as a module of its package; write "{f"from {module} import …" if module else "import …"}"'
        )


def _how_to_install(module: Mention, language: Language, interpreter: Interpreter) -> str:
    if language is Language.R:
        packages = f'install it there (install.packages("{module.name}"))'
        return f"{packages}, or name the folder where it is in supp_r_libs"
    return f"install it there ({interpreter.path} -m pip install …), or name the Python that has it in python_bin_path"
