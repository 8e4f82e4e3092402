"""The arguments of `sbatch` that users and sites add, as it reads them itself (its manual; C's getopt_long)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

# The options with a value; letters of the short ones. One that is not here, of a newer SLURM, is passed on as it is.
_WITH_VALUE = {
    "account": "A", "acctg-freq": "", "array": "a", "batch": "", "bb": "", "bbf": "", "begin": "b", "chdir": "D",
    "cluster": "", "cluster-constraint": "", "clusters": "M", "comment": "", "constraint": "C", "container": "",
    "container-id": "",
    "core-spec": "S", "cores-per-socket": "", "cpu-freq": "", "cpus-per-gpu": "", "cpus-per-task": "c",
    "deadline": "", "delay-boot": "", "dependency": "d", "distribution": "m", "error": "e", "exclude": "x",
    "export": "", "export-file": "", "extra": "", "extra-node-info": "B", "gid": "", "gpu-bind": "", "gpu-freq": "",
    "gpus": "G", "gpus-per-node": "", "gpus-per-socket": "", "gpus-per-task": "", "gres": "", "gres-flags": "",
    "hint": "", "input": "i", "job-name": "J", "kill-on-invalid-dep": "", "licenses": "L", "mail-type": "",
    "mail-user": "", "mcs-label": "", "mem": "", "mem-bind": "", "mem-per-cpu": "", "mem-per-gpu": "", "mincpus": "",
    "network": "", "nodefile": "F", "nodelist": "w", "nodes": "N", "ntasks": "n", "ntasks-per-core": "",
    "ntasks-per-gpu": "", "ntasks-per-node": "", "ntasks-per-socket": "", "open-mode": "", "output": "o",
    "partition": "p", "power": "", "prefer": "", "priority": "", "profile": "", "qos": "q", "reservation": "",
    "segment": "", "signal": "", "sockets-per-node": "", "switches": "", "tasks-per-node": "", "thread-spec": "",
    "threads-per-core": "", "time": "t", "time-min": "", "tmp": "", "tres-bind": "", "tres-per-task": "", "uid": "",
    "wait-all-nodes": "", "wckey": "", "workdir": "", "wrap": "",
}  # fmt: skip
_WITHOUT = {
    "contiguous": "", "exclusive": "", "get-user-env": "", "help": "h", "hold": "H", "ignore-pbs": "", "nice": "",
    "no-kill": "k", "no-requeue": "", "oom-kill-step": "", "overcommit": "O", "oversubscribe": "s", "parsable": "",
    "propagate": "", "quiet": "Q", "reboot": "", "requeue": "", "resv-ports": "", "share": "", "spread-job": "",
    "stepmgr": "", "test-only": "", "usage": "u", "use-min-nodes": "", "verbose": "v", "version": "V", "wait": "W",
}  # fmt: skip
_LETTERS = {letter: name for name, letter in (_WITH_VALUE | _WITHOUT).items() if letter}
_OTHER_NAMES = {
    "cluster": "clusters",
    "tasks-per-node": "ntasks-per-node",
    "workdir": "chdir",
    "share": "oversubscribe",
}

# What candle cannot do its work with, and why, or what says it instead.
_REFUSED = {
    "array": "one job runs all trials; nworkers is how many run at a time",
    "chdir": "the job runs in the experiment's folder, and each trial in its own; name your data by absolute paths",
    "cpus-per-gpu": "nthreads is the number of CPUs of each worker",
    "cpus-per-task": "nthreads is the number of CPUs of each worker",
    "error": "what the job prints is job.out in the experiment's folder, where candle looks for it",
    "gpus": "GPUs are asked for by worker_type, nworkers, trials_per_gpu and gpus_per_trial",
    "gpus-per-node": "GPUs are asked for by worker_type, nworkers, trials_per_gpu and gpus_per_trial",
    "gpus-per-socket": "GPUs are asked for by worker_type, nworkers, trials_per_gpu and gpus_per_trial",
    "gpus-per-task": "GPUs are asked for by worker_type, nworkers, trials_per_gpu and gpus_per_trial",
    "help": "nothing would be submitted",
    "ntasks": "nworkers is the number of tasks of the job",
    "ntasks-per-gpu": "GPUs are shared by trials_per_gpu",
    "output": "what the job prints is job.out in the experiment's folder, where candle looks for it",
    "test-only": "nothing would be submitted; candle check asks SLURM when it would start",
    "tres-per-task": "nthreads and gpus_per_trial are the CPUs and GPUs of each worker",
    "usage": "nothing would be submitted",
    "version": "nothing would be submitted",
    "wait": "candle submit-job returns at once; candle watch follows the experiment",
    "wrap": "the job script is candle's own",
}
_SIGNAL = "candle has itself warned by it before the end of the job; how long before can be said, as B:USR1@SECONDS"
_GPU = re.compile(r"(?:gres[/:])?(?:gpu|shard|mps)(?:[:=].*)?", re.IGNORECASE)


class SbatchArgumentError(ValueError):
    """An argument that cannot be given to `sbatch` here; the text says which, why, and what would be right."""


class SbatchArgument(msgspec.Struct, frozen=True):
    """One option by its long name, such as `--mem`, and its value, if it has any."""

    name: str
    value: str | None = None

    @property
    def text(self) -> str:
        """The argument as one word."""
        return self.name if self.value is None else f"{self.name}={self.value}"


def sbatch_arguments(words: Sequence[str]) -> tuple[SbatchArgument, ...]:
    """Return the options that these words are. Raises `SbatchArgumentError` for what is none, or what cannot be."""
    found = tuple(read_arguments(words))
    for argument in found:
        why = _why_not(argument)
        if why is not None:
            raise SbatchArgumentError(f"{argument.text} is not possible: {why}")
    return found


def value_of(arguments: Sequence[SbatchArgument], name: str) -> str | None:
    """Return the value that counts of the option of this long name; None where it is not among the arguments."""
    return next((each.value for each in reversed(arguments) if each.name == name), None)


def _why_not(argument: SbatchArgument) -> str | None:
    value = argument.value or ""
    if value.lower() == "help":
        return _REFUSED["help"]
    if argument.name == "--gres" and any(_GPU.fullmatch(each.strip()) for each in value.split(",")):
        return _REFUSED["gpus"]
    if argument.name == "--signal" and not re.fullmatch(r"B:(?:SIG)?USR1(?:@\d+)?", value):
        return _SIGNAL
    return _REFUSED.get(argument.name.removeprefix("--"))


def read_arguments(words: Sequence[str]) -> Iterator[SbatchArgument]:
    """Read the options that these words are, whatever they ask for. Raises `SbatchArgumentError` for what is none."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if re.search(r"[\n\r\0]", word):
            raise SbatchArgumentError(f"{word!r} has a line break, which a job script cannot have in an argument")
        if re.fullmatch(r"--[A-Za-z][\w-]*(=.*)?", word):
            given, has_value, value = word[2:].partition("=")
            name = _long_name(given)
            takes_next = not has_value and name not in _WITHOUT and bool(rest) and not rest[0].startswith("-")
            if name in _WITH_VALUE and not has_value and not rest:
                raise SbatchArgumentError(f"{word} has no value; write --{name}=…")
            if takes_next or (name in _WITH_VALUE and not has_value):
                has_value, value = "=", rest.pop(0)
            yield SbatchArgument(f"--{_OTHER_NAMES.get(name, name)}", value if has_value else None)
        elif re.fullmatch(r"-[A-Za-z].*", word):
            yield from _short(word[1:], rest)
        else:
            raise SbatchArgumentError(f'"{word}" is not an option of sbatch; they begin with --')


def _short(letters: str, rest: list[str]) -> Iterator[SbatchArgument]:
    """Read a word such as `-N2`, `-p`, or `-Hk`; a value may be the word after it."""
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _LETTERS.get(letter)
        if name is None:
            raise SbatchArgumentError(f"-{letter} is not an option of sbatch that candle knows; write its long name")
        if name in _WITHOUT:
            yield SbatchArgument(f"--{name}")
            continue
        if not letters and not rest:
            raise SbatchArgumentError(f"-{letter} has no value; write --{name}=…")
        yield SbatchArgument(f"--{name}", letters or rest.pop(0))
        return


def _long_name(given: str) -> str:
    """Return the name that is meant: sbatch takes any beginning of a name that is the beginning of no other."""
    known = _WITH_VALUE | _WITHOUT
    if given in known:
        return given
    meant = {_OTHER_NAMES.get(name, name) for name in known if name.startswith(given)}
    return meant.pop() if len(meant) == 1 else given
