"""The line `prepare`: a shell that runs it, and then becomes the model, or ends where nothing of the shell matters."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.paths import TrialPaths

# $1 is the user's line, $2 is not empty where the model need not be started by this shell, and what follows is the
# command that runs it. The line has `candle_get_param`; what it exports, the model has. Where another interpreter is
# first on the PATH after it, a file in the trial's folder says which. Where the shell is not asked to start the model,
# another one says whether anything has changed that a process inherits, or something of the line still runs; if so, the
# shell starts the model all the same. Its pipe to that shell does not count, of which this one may not have closed its
# end yet; nor blocked signals: bash blocks some for a moment whenever it starts something, and cannot otherwise.
_TEXT = """candle_look() {{
  export -p; export -pf; pwd -P; umask; ulimit -S -a; ulimit -H -a
  for each in /proc/$$/fd/*; do [ "$each" -ef /proc/self/fd/1 ] || echo "$each"; done
  readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2
  grep -E '^(SigIgn|Cpus_allowed|Mems_allowed|Groups|NoNewPrivs):' /proc/$$/status
  cut -d ' ' -f 19 /proc/$$/stat
  pgrep -c -g $$ || echo "unknown $1"
}}
candle_folder=${{CANDLE_RESULT_FILE%/*}}
candle_first=$({first} || :)
candle_before=
[ -z "$2" ] || candle_before=$(candle_look before 2>&1)
. "${{CANDLE_PARAMS_FILE%.json}}.sh"
eval "$1" < /dev/null || {{ status=$?
echo "candle: prepare ended with exit status $status" >&2
exit "$status"; }}
unset -f candle_get_param
candle_after=$({first} || :)
[ "$candle_first" = "$candle_after" ] || printf %s "$candle_after" > "$candle_folder/{interpreter}"
if [ -n "$2" ]; then
  if [ "$candle_before" = "$(candle_look after 2>&1)" ]; then
    echo same > "$candle_folder/{done}" && exit 0
  else
    echo changed > "$candle_folder/{done}"
  fi
fi
shift 2
exec "$@"
"""
_INTERPRETER, _DONE = "interpreter_of_prepare.txt", "done_by_prepare.txt"
_FIRST_ON_PATH = {
    Language.PYTHON: "command -v python3 || command -v python",
    Language.R: "command -v Rscript",
    Language.BASH: "command -v bash",
    Language.PROGRAM: ":",
}


def shell_of_prepare(settings: Settings) -> tuple[str, ...]:
    """Return the command that runs the line and then what follows it; nothing where there is no such line."""
    if not settings.prepare:
        return ()
    first = ":" if settings.python_bin_path else _FIRST_ON_PATH[settings.host]
    text = _TEXT.format(first=first, interpreter=_INTERPRETER, done=_DONE)
    return ("bash", "-c", text, "prepare", settings.prepare, "")


def alone(shell: Sequence[str]) -> tuple[str, ...]:
    """Return the same command, which need not run what follows it."""
    return (*shell[:-1], "alone")


def what_prepare_did(folder: Path) -> str:
    """Return whether a shell that need not start the model has left all as it was: `same`, `changed`; else "".

    It has started the model unless this is `same`.
    """
    return _taken(folder / _DONE).strip()


def note_on_prepare(interpreter: str, paths: TrialPaths, language: Language) -> str:
    """Return what to know where `prepare` has put another interpreter first on the PATH: it was not used."""
    left = _taken(paths.run / _INTERPRETER)
    if not left:
        return ""
    found = Path(left)
    name = "python_bin_path" if language is Language.PYTHON else "the PATH of the shell where you submit"
    return (
        f"prepare puts {found} first on the PATH, but trials run with {interpreter}, the one that was shown at "
        f"submission; to use the other, put its folder {found.parent} in {name}"
    )


def _taken(path: Path) -> str:
    """Return the text of a file, and remove it; "" where it is not there."""
    text = ""
    with suppress(OSError):
        text = path.read_text(encoding="utf-8", errors="replace")
        path.unlink()
    return text
