"""What is proposed for a script → the text of its input file."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence

import msgspec

from candle_hpo.core.number_text import json_text
from candle_hpo.core.objective import Direction
from candle_hpo.draft.objectives import Candidate
from candle_hpo.draft.options import Kind, Option, Options, Way, may_be_secret
from candle_hpo.draft.ranges import Range, is_amount

_COLUMN = 32  # where comments begin


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """All that an input file is made of.

    `script` is as it is written in the file, a value of bash; `source` is where all this is from. `searched` are the
    names of the ranges that are switched on. `objective` is None where the script leaves its value itself, or where
    none is known: then `why_none` says why. Without a `direction`, its name does not show it. `others` are further
    candidates. `budget`, `workers` and `run_in` come with a comment each.
    """

    script: str
    source: str
    options: Options
    ranges: tuple[Range, ...]
    searched: tuple[str, ...]
    workers: tuple[int, str]
    budget: tuple[int, str]
    cluster: tuple[str, ...] = ()
    model_command: str = ""
    why_command: str = ""
    run_in: tuple[str, str] = ("", "")
    prepare: str = ""
    links: tuple[str, ...] = ()
    objective: Candidate | None = None
    direction: Direction | None = None
    others: tuple[Candidate, ...] = ()
    value_comment: str = ""
    why_none: str = ""
    reports_each: int = 0  # in one run, where that is enough to stop trials early

    @property
    def ranges_in_order(self) -> list[Range]:
        """The ranges, those first that are searched, and then those that are likely to matter."""
        return sorted(self.ranges, key=lambda each: (each.name not in self.searched, -each.worth))


def input_text(draft: Draft, name: str, *, is_asked: bool) -> str:
    """Return the text of the input file of this name; `is_asked` is whether the user has answered questions."""
    lines = [
        f"# {name}, by candle init: {draft.source}.",
        f"# candle check {shlex.quote(name)} looks for mistakes, candle submit-job {shlex.quote(name)} runs it.",
        *([] if is_asked else ["# Nobody was asked: what is searched, and the objective, are what is likeliest."]),
        "",
        "&control",
        *(f"  {line}" for line in _control(draft)),
        "/",
        "",
        "# The values of what is not searched. What has none is not given: then the",
        "# script's own counts.",
        "&default_model",
        *_default_model(draft),
        "/",
        "",
        "# What is searched; and, behind a #, what could be.",
        "&param_space",
        *_space(draft),
        "/",
    ]
    return "\n".join(lines) + "\n"


def _control(draft: Draft) -> Iterator[str]:
    yield f"model_script={draft.script}"
    yield 'workflow="bayesian"'
    yield _with_comment(f"max_budget={draft.budget[0]}", draft.budget[1])
    yield _with_comment(f"nworkers={draft.workers[0]}", draft.workers[1])
    yield from draft.cluster
    if draft.options.way is Way.ARGUMENTS:
        script_args = script_args_of(draft.options)
        yield f"script_args={quoted(script_args)}" if script_args else 'hyperparams_as="arguments"'
        if style := style_of(draft.options.found):
            yield f'argument_style="{style}"'
    if draft.options.way is Way.CONFIGURATION:
        its = draft.options
        yield f"stdin_file={quoted(its.stdin)}" if its.stdin else f"config_file={quoted(its.config)}"
        if draft.options.config_words:
            yield f"script_args={quoted(draft.options.config_words)}"
    if draft.model_command:
        if draft.why_command:
            yield f"# {draft.why_command[0].upper()}{draft.why_command[1:]}:"
        yield f"model_command={quoted(draft.model_command)}"
    if draft.run_in[0]:
        yield _with_comment(f'run_in="{draft.run_in[0]}"', f"{draft.run_in[1]}: trials have copies of its folder")
    if draft.links:
        yield f"link={quoted(', '.join(draft.links))}"
    if draft.prepare:
        yield f"prepare={quoted(draft.prepare)}"
    yield from _objective(draft)


def _objective(draft: Draft) -> Iterator[str]:
    if draft.why_none:
        yield f"# The objective is not known: {draft.why_none}."
        yield "# Name it before you submit this file, by result_pattern or result_file"
        yield "# (docs/model-scripts.md)."
        return
    if draft.value_comment:
        yield f"# The objective: {draft.value_comment}"
    if draft.objective is not None:
        yield from keywords_of(draft.objective)
    if draft.direction is None:
        yield _with_comment('direction="minimize"', 'QUESTION: or "maximize"?')
    else:
        yield f'direction="{draft.direction.value}"'
    if draft.reports_each:
        said = f"stops bad trials early; {draft.reports_each} reports each"
        yield _with_comment('# stopping="asha"', said)
    for other in draft.others:
        yield f"# Or {other.name}, {other.value:.6g} in that run:"
        yield from (f"#   {line}" for line in keywords_of(other))
        yield from [f'#   direction="{other.direction.value}"'] if other.direction else []


def keywords_of(candidate: Candidate) -> list[str]:
    """Return the keywords that find a candidate, as they are written in the file."""
    if not candidate.file:
        return [f"result_pattern={quoted(candidate.patterns[0])}"]
    key = [f"result_key={quoted(candidate.key)}"] if candidate.key else []
    return [f"result_file={quoted(candidate.file)}", *key]


def script_args_of(options: Options) -> str:
    """Return the arguments of a script that has a sub-command, or places without options; "" for any other.

    Options come before words that are always given, as `getopts` wants it.
    """
    places = itertools.takewhile(
        lambda each: each.default is not None, (each for each in options.found if each.is_positional)
    )
    words = [options.command, *(f"{{{each.name}}}" for each in places)]
    last = [shlex.quote(re.sub(r"(\{[\w./@+-]+\})", r"{\1}", each)) for each in options.last_words]
    if not any([*words, *last]):
        return ""
    has_options = any(not each.is_positional for each in options.found)
    return " ".join(filter(None, [*words, "{arguments}" if has_options else "", *last]))


def style_of(options: Sequence[Option]) -> str:
    """Return the `argument_style` of options, with those that are exceptions to it; "" for the usual one."""
    named = [each for each in options if each.option or each.if_false]
    with_value = [each for each in named if each.kind is not Kind.FLAG]
    is_joined = bool(with_value) and all(each.option.endswith("=") for each in with_value)
    named = [msgspec.structs.replace(each, option=each.option.removesuffix("=")) for each in named]
    if is_joined and not any(each.option.startswith("-") for each in named):
        return "name=value"
    dashes = sum("-" in each.option.lstrip("-") for each in named)
    underscores = sum("_" in each.option.lstrip("-") for each in named)
    singles = sum(re.match(r"-[^-].", each.option) is not None for each in named)
    example = "--my-name value"
    if singles > len(named) / 2:
        example = "-my_name value"
    elif underscores > dashes:
        example = "--my_name value"
    if is_joined:
        example = example.replace(" ", "=")
    exceptions = []
    for each in named:
        if each.kind is Kind.FLAG and each.if_false:
            exceptions.append(f"{each.name}:{each.option}/{each.if_false}")
        elif each.option != _as_usual(each.name, example):
            flag = "/" if each.kind is Kind.FLAG else ""
            exceptions.append(f"{each.name}:{each.option}{flag}")
    if example == "--my-name value" and not exceptions:
        return ""
    return " ".join([example, *exceptions])


def _as_usual(name: str, example: str) -> str:
    prefix, dashes = ("-" if example.startswith("-m") else "--"), "my-name" in example
    return prefix + (name.replace("_", "-") if dashes else name)


def _default_model(draft: Draft) -> Iterator[str]:
    for option in draft.options.found:
        shown = "# {} =" if option.default is None else "{} = " + literal(option.default)
        yield _with_comment("  " + shown.format(option.name), said_of(option))


def said_of(option: Option) -> str:
    """Return what is known of an option, in a few words."""
    kind = "" if option.kind is Kind.TEXT else option.kind.value
    choices = f"one of {', '.join(map(str, option.choices))}" if option.choices else kind
    amount = "how long it runs: see fidelity" if is_amount(option.name) else ""
    guess = "a guess: its text shows no value" if option.is_guessed else ""
    is_given = isinstance(option.default, str) and option.default != ""
    secret = "a secret? it would lie in each trial's folder" if is_given and may_be_secret(option.name) else ""
    return option.left_alone or "; ".join(each for each in (choices, amount, guess, secret) if each)


def _space(draft: Draft) -> Iterator[str]:
    for each in draft.ranges_in_order:
        yield f"  {'' if each.name in draft.searched else '# '}{json_text(each.fields)}"


def literal(value: object) -> str:
    """Return a value as the default hyperparameters are written: a literal of Python."""
    match value:
        case bool() | None:
            return repr(value)
        case int() | float():
            return json_text(value)
        case str():
            return repr(value)
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case _:
            return repr(value)


def quoted(text: str) -> str:
    """Return a text as a value of `&control`: in single quotes, within which nothing is expanded, where that can be."""
    if "'" not in text:
        return f'"{text}"' if not re.search(r"[$`\"\\]", text) else f"'{text}'"
    return '"' + re.sub(r"([$`\"\\])", r"\\\1", text) + '"'


def _with_comment(text: str, comment: str) -> str:
    return f"{text.ljust(_COLUMN - 1)} # {comment}" if comment else text
