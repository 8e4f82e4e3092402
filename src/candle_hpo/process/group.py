"""One process of a model: started in its own process group, waited for, stopped with all its children."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from candle_hpo.core.stopping import StopHow
from candle_hpo.process.awake import AwakeClock
from candle_hpo.process.forwarding import let_group_write, let_output_arrive
from candle_hpo.process.guard import Guard
from candle_hpo.process.leftovers import left_by_trial

_LONGEST_POLL = 86_400.0  # seconds; poll(2) takes no more than 24 days
_ASK_SECONDS = 0.02
_LOOK_SECONDS = 1.0  # between two looks at how much was printed, and at the clock
MOMENT_SECONDS = 0.5  # from which on a process lasts
GRACE_SECONDS = 10.0  # between asking a process to end (SIGTERM) and ending it (SIGKILL)


class Ended(NamedTuple):
    """How a process ended. `status` is its exit status, or minus the number of the signal that ended it.

    `stopped` is how it was stopped, where somebody asked for that. `is_cut_off` is whether some of its output had not
    arrived in its file when what it left behind was ended. `printed` is how many bytes one that was ended had
    printed before that.
    """

    status: int
    seconds: float
    timed_out: bool
    stopped: StopHow | None
    printed_too_much: bool = False
    is_cut_off: bool = False
    printed: int = 0


class Limits(NamedTuple):
    """What a process may take: so many seconds, and so many bytes in its file of output; None: no limit."""

    seconds: float | None = None
    output_bytes: int | None = None


def nothing() -> None:
    """Do nothing."""


class Program(NamedTuple):
    """A program to be run: its command line, folder and environment, the file of its output and errors, its limits.

    `stdin` is the file that it reads on its standard input; None: nothing. With `shell`, that is what is started, with
    the command line after its own. Its output begins the file of output, unless it `continues` what is there.
    `when_it_lasts` is called once it has run for a moment: most of what there is to do beside it can wait until then.
    """

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    output: Path
    limits: Limits
    stdin: Path | None = None
    shell: Sequence[str] = ()
    continues: bool = False
    when_it_lasts: Callable[[], None] = nothing

    def has_printed_too_much(self) -> bool:
        """Return whether its output is larger than is allowed."""
        try:
            return self.limits.output_bytes is not None and self.output.stat().st_size > self.limits.output_bytes
        except FileNotFoundError:  # the model has removed it
            return False


class Process(Protocol):
    """A process that leads its own group, however it was started; `pid` is its number until `reap`."""

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""

    @property
    def reaper(self) -> int | None:
        """The process that adopts what this one leaves behind; None: the one that asks."""

    def wait(self, timeout: float | None) -> bool:
        """Wait until it has ended, without reaping it where that can be; return whether it did before `timeout`."""

    def reap(self) -> int:
        """Wait for its end and give its number back; return its exit status, or minus the number of a signal."""


class StopSwitch:
    """Stops one attempt: the process that was started with it, and every later one as soon as it starts.

    `how` is how, once somebody has asked for it. A guard does the same when this process cannot any more.
    Not for signal handlers: they would wait for a lock that the code they interrupt may hold.
    """

    def __init__(self, grace: float = GRACE_SECONDS, guard: Guard | None = None) -> None:
        self.how: StopHow | None = None
        self._guard = guard
        self._lock = threading.Lock()
        self._running: set[Process] = set()
        self._grace = grace
        self._killer: threading.Timer | None = None
        self._is_killed = False
        self._trial: str | None = None  # whose processes these are, where they show it

    def stop(self, how: StopHow = StopHow.INTERRUPT) -> None:
        """Ask it to end, and end it after the grace period; when called again, the first time counts."""
        with self._lock:
            if self.how is not None:
                return
            self.how = how
            self._killer = threading.Timer(self._grace, self.kill)
            self._killer.daemon = True
            try:
                self._killer.start()
            except RuntimeError:  # too many processes: nobody would end it after the grace period
                self._is_killed = True
            self._signal(*self._running)

    def kill(self) -> None:
        """End it at once, where it has been asked to end."""
        with self._lock:
            if self.how is not None:
                self._is_killed = True
                self._signal(*self._running)

    def close(self) -> None:
        """Forget the grace period; for when nothing runs any more."""
        if self._killer is not None:
            self._killer.cancel()
        if self._guard is not None and self._trial is not None:
            self._guard.end_trial(self._trial)

    def expect(self, trial: str) -> None:
        """Have the guard take care of all processes of a trial, until `close`; to be called before the first starts.

        They are known by the file of the trial's hyperparameters, which their environment names.
        """
        if self._guard is not None:
            self._guard.begin_trial(trial)
            self._trial = trial

    def add(self, process: Process) -> None:
        """Take care of a process, from now until `discard`."""
        with self._lock:
            if self._guard is not None:
                self._guard.begin(process.pid)
            self._running.add(process)
            if self.how is not None:
                self._signal(process)

    def discard(self, process: Process) -> StopHow | None:
        """Leave a process alone, whose number will soon be another's; return how it was stopped, if it was."""
        with self._lock:
            if self._guard is not None and process in self._running:
                self._guard.end(process.pid)
            self._running.discard(process)
            return self.how

    def _signal(self, *processes: Process) -> None:
        for process in processes:
            signal_group(process, signal.SIGKILL if self._is_killed else signal.SIGTERM)


def run_process(program: Program, switch: StopSwitch) -> Ended:
    """Run a program to its end, and end what it leaves behind in its group.

    Its output is appended to a file, so that programs which open that again, as `/dev/stderr`, write behind what is
    there. Raises `OSError` where it cannot be started.
    """
    began = time.monotonic()
    source = os.open(program.stdin or os.devnull, os.O_RDONLY)
    sink = os.open(
        program.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if program.continues else os.O_TRUNC), 0o666
    )
    try:
        process = subprocess.Popen(
            [*program.shell, *program.command],
            cwd=program.directory,
            env=dict(program.environment),
            stdin=source,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(source)
        os.close(sink)
    return run_to_its_end(OwnProcess(process), began, program, switch)


def run_to_its_end(process: Process, began: float, program: Program, switch: StopSwitch) -> Ended:
    """Wait for a program's process that began then (by the monotonic clock), stop it when due, end what it leaves.

    Where it ends by itself, what it has left may first pass its output on, within the same limits.
    """
    seconds, output = program.limits.seconds, program.output
    clock = AwakeClock()  # a job that is suspended takes none of a trial's time
    deadline = math.inf if seconds is None else clock.now() + seconds

    def is_over() -> bool:
        return switch.how is not None or clock.now() > deadline or program.has_printed_too_much()

    switch.add(process)
    stopped, is_cut_off, printed = None, False, 0
    try:
        timed_out, printed_too_much = _wait_within(process, clock, deadline, program)
        stopped = switch.how  # what is asked to stop later has ended by itself, and keeps its value
        if timed_out or printed_too_much:
            with contextlib.suppress(OSError):
                printed = output.stat().st_size
            signal_group(process, signal.SIGTERM)
            process.wait(GRACE_SECONDS)
        elif switch.how is None:
            if sys.platform == "linux":
                left = partial(left_by_trial, process.pid, program.environment, process.reaper)
                is_cut_off = not let_output_arrive(left, output, is_over)
            else:
                is_cut_off = not let_group_write(process.pid, output, is_over)
            printed_too_much = is_cut_off and program.has_printed_too_much()
    finally:
        # The process is not yet reaped where the system lets us wait without that, so the number of its
        # group is still its own.
        signal_group(process, signal.SIGKILL)
        stopped_late = switch.discard(process)
        status = process.reap()
    if is_cut_off:
        stopped = stopped or stopped_late
    return Ended(status, time.monotonic() - began, timed_out, stopped, printed_too_much, is_cut_off, printed)


def _wait_within(process: Process, clock: AwakeClock, deadline: float, program: Program) -> tuple[bool, bool]:
    """Wait for the end of a process; return whether it was too long in coming, and whether too much was printed.

    Its output goes to the file without a detour, which would cost every trial something; so the file is looked at.
    """
    if process.wait(max(0.0, min(deadline - clock.now(), MOMENT_SECONDS))):
        return False, False
    program.when_it_lasts()
    if math.isinf(deadline) and program.limits.output_bytes is None:
        return not process.wait(None), False
    while True:
        left = deadline - clock.now()
        if process.wait(max(0.0, min(left, _LOOK_SECONDS))):
            return False, False
        if left <= 0:
            return True, False
        if program.has_printed_too_much():
            return False, True


def signal_group(process: Process, number: signal.Signals) -> None:
    """Send a signal to a process and all its children that did not leave its group."""
    # A group of which only zombies are left answers EPERM on some systems.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class OwnProcess:
    """A process that this one has started."""

    reaper = None

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def reap(self) -> int:
        """Wait for its end; return its exit status, or minus the number of the signal that ended it."""
        return self._process.wait()

    def wait(self, timeout: float | None) -> bool:
        """Wait until it has ended, at most so many seconds; return whether it has."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with end_of(self.pid) as descriptors:
            return is_readable_before(descriptors, deadline) if descriptors else self._wait_by_asking(deadline)

    def _wait_by_asking(self, deadline: float | None) -> bool:
        while not self._has_ended():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(_ASK_SECONDS)
        return True

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@contextlib.contextmanager
def end_of(process: int) -> Iterator[tuple[int, ...]]:
    """Open the descriptor that can be read once a process has ended; none where the system has no such thing.

    That is macOS, a kernel before 5.3, or a container that forbids it.
    """
    try:
        descriptor = os.pidfd_open(process)
    except (AttributeError, OSError):
        yield ()
        return
    try:
        yield (descriptor,)
    finally:
        os.close(descriptor)


def is_readable_before(descriptors: Sequence[int], deadline: float | None) -> bool:
    """Wait until one of them has something to read, or has been closed; return whether that was before the deadline."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    while True:
        left = _LONGEST_POLL if deadline is None else min(_LONGEST_POLL, deadline - time.monotonic())
        if poll.poll(max(0.0, left) * 1000):
            return True
        if left <= 0:
            return False
