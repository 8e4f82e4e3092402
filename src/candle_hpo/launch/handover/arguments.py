"""Hyperparameters as arguments on a command line, for a script that reads its own options."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from candle_hpo.core.command_words import ARGUMENTS, filled_in, only_placeholder, placeholders
from candle_hpo.core.experiment import ArgumentStyle
from candle_hpo.core.number_text import decimal_text, json_text
from candle_hpo.launch.handover.texts import plain

_NUMBER = re.compile(r"-(\d+|\d*\.\d+)")  # as argparse takes it for a value, not an option
_TO_PYTHON = {"true": "True", "false": "False"}


class CommandLine(msgspec.Struct, frozen=True):
    """The words of a command line, in which names in braces stand for what differs from trial to trial.

    `{arguments}` by itself stands for the arguments of all hyperparameters that are not named, in their `style`; any
    other name for a value. With `to_python`, booleans are written as Python does: its scripts rarely read others.
    """

    words: tuple[str, ...]
    style: ArgumentStyle
    to_python: bool

    def of(
        self, hyperparameters: Mapping[str, object], others: Mapping[str, str], in_files: Collection[str] = ()
    ) -> list[str]:
        """Return the words for these hyperparameters; `others` are values of other names.

        Hyperparameters that are `in_files` are not among `{arguments}`.

        Raises `KeyError` for a name that has no value: what would be in its place is another command.
        """
        named = set(placeholders(self.words))
        found: list[str] = []
        for word in self.words:
            name = only_placeholder(word)
            if name == ARGUMENTS:
                handed = {*in_files, *(named - set(others))}
                rest = {key: value for key, value in hyperparameters.items() if key not in handed}
                found += as_arguments(rest, self.style, to_python=self.to_python)
            elif name and name not in others and isinstance(value := hyperparameters[name], list | float):
                found += [self._alone(each) for each in (value if isinstance(value, list) else [value])]
            else:
                found.append(filled_in(word, lambda name: self._within(name, hyperparameters, others)))
        return found

    def _within(self, name: str, hyperparameters: Mapping[str, object], others: Mapping[str, str]) -> str:
        """Return a value as a part of a word."""
        if name in others:
            return others[name]
        value = hyperparameters[name]
        if value is None:
            raise KeyError(name)
        return ",".join(self._text(each) for each in value) if isinstance(value, list) else self._text(value)

    def _alone(self, value: object) -> str:
        """Return a value as a word, which no parser of options takes for an option if it is a number."""
        text = self._text(value)
        is_confusing = isinstance(value, float) and text.startswith("-") and not _NUMBER.fullmatch(text)
        return decimal_text(value) if is_confusing and isinstance(value, float) else text

    def _text(self, value: object) -> str:
        return _text(value, to_python=self.to_python)


def as_arguments(hyperparameters: Mapping[str, object], style: ArgumentStyle, *, to_python: bool = False) -> list[str]:
    """Return the arguments that give the model these hyperparameters, in their order.

    A hyperparameter that is null is left out. Where options have a prefix, a boolean is a flag, there or not, unless
    its style is another; a list's values follow one another, or are joined by commas where a name and its value are one
    argument. Where they have none, a list is one value, as JSON and YAML write it: `[1,2]`.
    """
    return [
        argument
        for name, value in hyperparameters.items()
        if value is not None
        for argument in _arguments(name, value, style, to_python=to_python)
    ]


def _arguments(name: str, value: object, style: ArgumentStyle, *, to_python: bool) -> Iterator[str]:
    own_name = name.replace("_", "-") if style.dashes else name
    option = style.options.get(name) or style.prefix + own_name
    if isinstance(value, bool) and (name in style.flags or style.booleans != "value"):
        if_false = "" if style.booleans == "flag" else f"{style.prefix}{style.booleans}{own_name}"
        flags = style.flags.get(name, (option, if_false))
        yield from filter(None, [flags[0] if value else flags[1]])
        return
    if isinstance(value, list) and style.prefix.startswith("-"):
        values, texts = value, [_text(each, to_python=to_python) for each in value]
    else:
        values, texts = [value], [_text(value, to_python=to_python)]
    if name not in style.options:
        yield from style.before
    if style.separator == " " or name in style.options:
        yield from _apart(option, values, texts)
    else:
        yield f"{option}{style.separator}{','.join(texts)}"


def _text(value: object, *, to_python: bool) -> str:
    """Return a value as a word, or a part of one."""
    if isinstance(value, list):
        return f"[{','.join(map(json_text, value))}]"
    text = plain(value)
    return _TO_PYTHON[text] if to_python and isinstance(value, bool) else text


def _apart(option: str, values: Sequence[object], texts: Sequence[str]) -> Iterator[str]:
    """Yield an option and its values; one that looks like an option itself is joined to its name.

    Where that cannot be, as within a list, a number has no exponent: parsers of options know `-0.00001` for a value.
    """
    looks_like_option = [text.startswith("-") and not _NUMBER.fullmatch(text) for text in texts]
    is_short = option.startswith("-") and len(option) == len("-x")
    if looks_like_option == [True] and option.startswith("--"):
        yield f"{option}={texts[0]}"
    elif looks_like_option == [True] and isinstance(values[0], str) and is_short:
        yield option + texts[0]
    else:
        yield option
        for value, text, is_confusing in zip(values, texts, looks_like_option, strict=True):
            yield decimal_text(value) if is_confusing and isinstance(value, float) else text
