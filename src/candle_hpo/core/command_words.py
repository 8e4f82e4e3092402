"""The words of a model's command line as the user writes them, with names in braces, which each trial fills in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

# Names in braces that stand for something else than a hyperparameter's value: all hyperparameters that are not named;
# the model script; the Python that candle finds for it; the trial's own configuration file.
ARGUMENTS, SCRIPT, PYTHON, CONFIG = "arguments", "script", "python", "config"

CONFIG_VARIABLE = "CANDLE_CONFIG"

# The variables that differ from trial to trial, and those that may differ from worker to worker besides: which GPUs
# are its own, of NVIDIA, AMD and Intel, and for OpenCL.
OF_A_TRIAL = (
    "CANDLE_TRIAL_ID",
    "CANDLE_TRIAL_NUMBER",
    "CANDLE_SEED",
    "CANDLE_PARAMS_FILE",
    "CANDLE_RESULT_FILE",
    "CANDLE_REPORTS_FILE",
    "CANDLE_CHECKPOINT_DIR",
    CONFIG_VARIABLE,
)
OF_A_WORKER = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "GPU_DEVICE_ORDINAL")

# Other braces are characters like any other, `{{name}}` is the text "{name}".
_IN_BRACES = re.compile(r"\{\{(?P<text>[^\W\d][\w./@+-]*)\}\}|\{(?P<name>[^\W\d][\w./@+-]*)\}")
_IN_TWO_PAIRS = re.compile(r"\{\{\s*([^\W\d][\w./@+-]*)\s*\}\}")
_PYTHON = re.compile(r"python[\d.]*")
_WITH_VALUE = ("-W", "-X")


def placeholders(words: Iterable[str]) -> Iterator[str]:
    """Yield the names in braces in some words."""
    for word in words:
        yield from (match["name"] for match in _IN_BRACES.finditer(word) if match["name"])


def names_in_two_pairs(words: Iterable[str]) -> list[str]:
    """Return the names that stand in two pairs of braces, and so are not replaced."""
    return list(dict.fromkeys(_IN_TWO_PAIRS.findall(" ".join(words))))


def only_placeholder(word: str) -> str:
    """Return the name of which a word consists; "" where there is more in it, or no name."""
    match = _IN_BRACES.fullmatch(word)
    return match["name"] or "" if match else ""


def filled_in(word: str, value_of: Callable[[str], str]) -> str:
    """Return a word with the value of each name in braces in its place."""
    return _IN_BRACES.sub(lambda match: value_of(match["name"]) if match["name"] else f"{{{match['text']}}}", word)


class Start(NamedTuple):
    """How a `model_command` starts the model script.

    `program` is its first word. Where that is a Python that runs nothing but the script (`python -u {script}`), or the
    script as a module (`python -m pkg.train`), `is_python`: `options` are those of Python, and the model host can be
    put in between. `words` are all others, up to the arguments of the script.
    """

    program: str
    words: tuple[str, ...]
    is_python: bool = False
    options: tuple[str, ...] = ()
    module: str = ""


def start_of(command: Sequence[str]) -> Start:
    """Return how a command, of at least one word, starts the script."""
    program, *words = command
    as_it_is = Start(program, tuple(words))
    if program != f"{{{PYTHON}}}" and not _PYTHON.fullmatch(program.rpartition("/")[2]):
        return as_it_is
    options: list[str] = []
    while words and words[0].startswith("-") and words[0] != "-m":
        options.append(words.pop(0))
        if options[-1] in _WITH_VALUE and words:
            options.append(words.pop(0))
    module = words[1] if words[:1] == ["-m"] and len(words) > 1 else ""
    rest = tuple(words[2:] if module else words[1:])
    if SCRIPT in placeholders(rest) or [*placeholders(options)] or not (module or words[:1] == [f"{{{SCRIPT}}}"]):
        return as_it_is  # as where another module, such as torch.distributed.run, runs the script
    return Start(program, rest, True, tuple(options), module)
