"""A worker's warm host: started when its first trial comes, kept from trial to trial, given up where it cannot be."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path

from candle_hpo.core.command_words import OF_A_TRIAL
from candle_hpo.core.trial import SlowImport
from candle_hpo.launch.command import ModelCommand
from candle_hpo.launch.prepare import alone, what_prepare_did
from candle_hpo.launch.warm_process import PRELOAD_SECONDS, HostLost, HostProcess, Ready, Refused, Stale, Unsafe
from candle_hpo.process.group import Ended, OwnProcess, Program, StopSwitch, run_process, run_to_its_end

_MOST_RESTARTS = 5  # of a host that has met an import which cannot be shared
_SLOW_IMPORT = 0.5  # seconds, from which on an import that each trial does itself is worth a word
_MOST_LOSSES = 3  # of a host while it ran a trial


class WarmHost:
    """Runs the processes of one worker's trials, one at a time, warm where that can be, else each from its beginning.

    It has the threads and signals of its caller alone; `close` ends the host.
    """

    def __init__(self, model: ModelCommand) -> None:
        self._model = model
        self._host: HostProcess | None = None
        self._base: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._waiting: dict[str, str] = {}
        self._losses = 0
        self._given_up = model.preload is None
        self._notes: list[str] = []
        self._noted: set[str] = set()

    def note(self, text: str) -> None:
        """Have the user know something of how trials start here; the same is said once."""
        if text and text not in self._noted:
            self._noted.add(text)
            self._notes.append(text)

    def take_notes(self) -> tuple[str, ...]:
        """Return what the user should know since this was last asked."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def take_slow_imports(self) -> tuple[SlowImport, ...]:
        """Return the imports that took the last trial long, each of them once."""
        seconds = self._host.seconds_of_imports if self._host is not None else {}
        slow = {name: time for name, time in seconds.items() if time >= _SLOW_IMPORT and name in self._waiting}
        return tuple(SlowImport(name, time, self._waiting.pop(name)) for name, time in slow.items())

    def close(self) -> None:
        """End the host."""
        if self._host is not None:
            self._host.end()
            self._host = None

    def run_process(self, program: Program, switch: StopSwitch) -> Ended:
        """Run a trial to its end, as `process.run_process` does; what its host does before it is not the trial's time.

        Raises `OSError` where it cannot be started, or the host is lost while it runs.
        """
        if self._model.prepare and not self._given_up:
            return self._run_after_prepare(program, switch)
        return self._run_warm(program, switch)

    def _run_after_prepare(self, program: Program, switch: StopSwitch) -> Ended:
        """Run the line `prepare`; its shell runs the trial, too, where the line changes what a process inherits."""
        ended = run_process(program._replace(shell=alone(program.shell)), switch)
        did = what_prepare_did(Path(program.environment["CANDLE_RESULT_FILE"]).parent)
        if did == "changed":
            self._give_up("the line prepare changes what its imports may find, or leaves something running")
        if did != "same" or ended.stopped or ended.timed_out or ended.printed_too_much:
            return ended
        limits = program.limits
        if limits.seconds is not None:
            limits = limits._replace(seconds=max(0.0, limits.seconds - ended.seconds))
        rest = self._run_warm(program._replace(shell=(), continues=True, limits=limits), switch)
        return rest._replace(seconds=ended.seconds + rest.seconds)

    def _run_warm(self, program: Program, switch: StopSwitch) -> Ended:
        if not self._is_ready(program.environment, switch):
            return Ended(-signal.SIGTERM, 0.0, False, switch.how)
        if self._host is None:
            return run_process(program, switch)
        request = {
            "script": self._model.script_in(program.directory),
            "arguments": program.command[len(self._model.command) :],
            "directory": str(program.directory),
            "environment": {name: program.environment[name] for name in OF_A_TRIAL if name in program.environment},
            "stdin": program.stdin and str(program.stdin),
            "output": str(program.output),
            "continues": program.continues,
        }
        began = time.monotonic()
        try:
            return run_to_its_end(self._host.start(request), began, program, switch)
        except HostLost as error:
            self.close()
            self._losses += 1
            if self._losses == _MOST_LOSSES:
                self._give_up(f"{error}, {_MOST_LOSSES} times")
            raise
        except Stale:
            self.close()
            return self._run_warm(program, switch)
        except Refused as error:
            self._give_up(str(error))
            return run_process(program, switch)
        except OSError:
            raise
        except BaseException:
            self.close()  # in the middle of a line, perhaps
            raise

    def _give_up(self, reason: str) -> None:
        self.close()
        self._given_up = True
        self.note(f"Each trial starts a fresh interpreter, because {reason}")

    def _is_ready(self, environment: Mapping[str, str], switch: StopSwitch) -> bool:
        """See that there is a host for this environment, if there can be one; return whether nobody asked to stop."""
        if self._given_up:
            return True
        base = {name: value for name, value in environment.items() if name not in OF_A_TRIAL}
        if self._host is not None and base == self._base:
            return True
        self.close()
        self._base = base
        deadline = time.monotonic() + PRELOAD_SECONDS
        for _ in range(_MOST_RESTARTS + 1):
            host = HostProcess(self._model, base)
            own = OwnProcess(host.process)
            switch.add(own)
            try:
                end = host.prepare(self._model, self._left, deadline)
            except BaseException:
                host.end()
                raise
            finally:
                stopped = switch.discard(own)
            if stopped:
                host.end()
                return False
            if isinstance(end, Ready):
                self._host, self._waiting = host, end.waiting
                return True
            host.end()
            if isinstance(end, str):
                self._give_up(end)
                return True
            self._leave(end)
        self._give_up("too many of its imports cannot be done beforehand: " + ", ".join(sorted(self._left)))
        return True

    def _leave(self, found: Unsafe) -> None:
        self._left[found.module] = found.because
        if self._model.preload is not None and found.module in self._model.preload.modules:
            self.note(f"preload: {found.module} is imported by each trial itself: {found.because}")
