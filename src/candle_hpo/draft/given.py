"""The arguments with which a user usually runs a script → the values of its options."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from candle_hpo.core.errors import InputError, nearest
from candle_hpo.draft.options import Kind, Option, Options, Way, fitting, kind_of, name_of, without_doubles


def with_given(options: Options, given: Sequence[str], script: str) -> Options:
    """Return the options with the values that a user gives, written as for the script, or as `name=value`.

    Raises `InputError` for what the script does not have.
    """
    found = {each.name: each for each in options.found}
    words, last = list(given), list(options.last_words)
    places = [each.name for each in options.found if each.is_positional]
    while words:
        word = words.pop(0)
        written, _, joined = word.partition("=")
        option, value = _option_called(written, options.found)
        if option is None and not (word.startswith("-") and not _is_number(word)) and not joined and places:
            option, joined = found[places.pop(0)], word
        if option is None and options.may_take_more and not word.startswith("-") and not joined:
            last.append(word)
            continue
        if option is None:
            valid = [each.option or each.name for each in options.found]
            raise InputError(f"{script} has no {written}; {nearest(written, valid)}")
        if "=" in word and option.kind is Kind.FLAG and written != option.if_false:
            value = _value(option, joined)  # --shuffle=false, of absl
        is_last = not words or words[0].startswith("-")
        if value is None and "=" not in word and option.default in ("True", "False") and is_last:
            value = "True"  # --use_cpu, which is short for --use_cpu True
        if value is None:
            text = joined if "=" in word or option.is_positional else _next_of(words, written)
            value = _value(option, text)
        found[option.name] = msgspec.structs.replace(
            option,
            default=value,
            is_required=False,
            kind=option.kind if option.default is not None else _kind(option, value),
        )
    return msgspec.structs.replace(options, found=tuple(found.values()), last_words=tuple(last))


def options_as_given(given: Sequence[str]) -> Options:
    """Return the options of a script that shows none, as a user writes them: `--lr 0.1`, `--lr=0.1`, `lr=0.1`, `0.1`.

    An option without a value behind it is a flag.
    """
    found, words = [], list(given)
    while words:
        written, equals, value = words.pop(0).partition("=")
        is_dashed = re.fullmatch(r"--?[A-Za-z][\w.-]*", written) is not None
        if equals and (is_dashed or re.fullmatch(r"[A-Za-z_][\w./-]*", written)):
            found.append(_as_given(written, f"{written}=", value))
        elif is_dashed and words and (not words[0].startswith("-") or _is_number(words[0])):
            found.append(_as_given(written, written, words.pop(0)))
        elif is_dashed:
            found.append(Option(name=name_of(written), option=written, kind=Kind.FLAG, default=True))
        else:
            place = 1 + sum(each.is_positional for each in found)
            option = _as_given(f"argument_{place}", "", f"{written}{equals}{value}")
            found.append(msgspec.structs.replace(option, is_positional=True))
    return Options(Way.ARGUMENTS, without_doubles(found), "the options that it was given")


def _as_given(written: str, option: str, text: str) -> Option:
    value = _value(Option(name=""), text)
    return Option(name=name_of(written), option=option, kind=kind_of(value), default=value)


def missing(options: Options) -> list[Option]:
    """Return the options without which the script does not run, and that have no value."""
    return [each for each in options.found if each.is_required and each.default is None]


def with_value(options: Options, name: str, text: str) -> Options:
    """Return the options with this value for one of them."""
    found = []
    for each in options.found:
        if each.name == name:
            value = _value(each, text)
            each = msgspec.structs.replace(each, default=value, kind=_kind(each, value), is_required=False)
        found.append(each)
    return msgspec.structs.replace(options, found=tuple(found))


def wrong_with_value(option: Option, text: str) -> str:
    """Return why an option cannot have what is written there; nothing where it can."""
    if option.kind in (Kind.INTEGER, Kind.NUMBER) and isinstance(_value(option, text), str):
        return f'"{text}" is not {"a whole number" if option.kind is Kind.INTEGER else "a number"}'
    choices = [str(each) for each in option.choices]
    return f'"{text}" is not one of {", ".join(choices)}' if choices and text not in choices else ""


def _option_called(written: str, options: Sequence[Option]) -> tuple[Option | None, object]:
    """Return the option that is written so, and the value that it thereby has, if it is a flag."""
    for each in options:
        if written and written == each.option:
            return each, True if each.kind is Kind.FLAG else None
        if written and written == each.if_false:
            return each, False
        if written == each.name or (written.startswith("--") and written[2:].replace("-", "_") == each.name):
            return each, None
    return None, None


def _next_of(words: list[str], option: str) -> str:
    if not words:
        raise InputError(f"there is no value behind {option}; write {option} VALUE")
    return words.pop(0)


def _value(option: Option, text: str) -> object:
    if option.kind is Kind.FLAG:
        return text.lower() in ("true", "1", "yes")
    if option.kind is Kind.TEXT and option.default is not None:
        return text
    kind = option.kind
    for each in (kind,) if kind is not Kind.TEXT else (Kind.INTEGER, Kind.NUMBER):
        value = fitting(text, each)
        if value is not text:
            return value
    return text


def _kind(option: Option, value: object) -> Kind:
    return kind_of(value) if option.kind is Kind.TEXT and not option.choices else option.kind


def _is_number(text: str) -> bool:
    return fitting(text, Kind.NUMBER) is not text
