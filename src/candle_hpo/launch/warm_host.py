"""A worker's branch of a warm host: called by its first trial, kept from trial to trial, given up where need be."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path

from candle_hpo.core.command_words import OF_A_TRIAL, OF_A_WORKER
from candle_hpo.core.trial import SlowImport
from candle_hpo.launch.command import PARAMS_FILE, ModelCommand
from candle_hpo.launch.prepare import alone, what_prepare_did
from candle_hpo.launch.shared_host import NoHost, SharedHost
from candle_hpo.launch.warm_process import PRELOAD_SECONDS, Branch, HostLost, Ready, Refused, Stale, Useless
from candle_hpo.process.group import Ended, Program, StopSwitch, run_process, run_to_its_end
from candle_hpo.process.leftovers import end_all_of_trial, end_leftovers_of_trial

_MOST_CALLS = 5  # of hosts that end before they are ready, as one does whose workers have all gone
_SLOW_IMPORT = 0.5  # seconds, from which on an import that each trial does itself is worth a word
_MOST_LOSSES = 3  # of a host while it ran a trial


class WarmHost:
    """Runs the processes of one worker's trials, one at a time, warm where that can be, else each from its beginning.

    It has the threads and signals of its caller alone. The host is `shared` with other workers, or its own; `close`
    ends what it has of that.
    """

    def __init__(self, model: ModelCommand, shared: SharedHost | None = None) -> None:
        self._model = model
        self._shared, self._is_alone = shared or SharedHost(), shared is None
        self._branch: Branch | None = None
        self._base: dict[str, str] = {}
        self._waiting: dict[str, str] = {}
        self._looks = False  # whether an import has looked at what is this worker's own
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
        seconds = self._branch.seconds_of_imports if self._branch is not None else {}
        slow = {name: time for name, time in seconds.items() if time >= _SLOW_IMPORT and name in self._waiting}
        return tuple(SlowImport(name, time, self._waiting.pop(name)) for name, time in slow.items())

    def close(self) -> None:
        """End what it has of the host."""
        self._leave()
        if self._is_alone:
            self._shared.close()

    def _leave(self) -> None:
        if self._branch is not None:
            self._branch.end()
            self._branch = None

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
        if self._branch is None:
            return run_process(program, switch)
        own = (*OF_A_TRIAL, *OF_A_WORKER)
        request = {
            "script": self._model.script_in(program.directory),
            "arguments": program.command[len(self._model.command) :],
            "directory": str(program.directory),
            "environment": {name: program.environment[name] for name in own if name in program.environment},
            "stdin": program.stdin and str(program.stdin),
            "output": str(program.output),
            "continues": program.continues,
        }
        began, hyperparameters = time.monotonic(), Path(program.environment[PARAMS_FILE])
        try:
            ended = run_to_its_end(self._branch.start(request), began, program, switch)
            end_leftovers_of_trial(hyperparameters, self._branch.pid)
        except HostLost as error:
            self._branch.kill()
            self._leave()
            end_all_of_trial(hyperparameters)
            self._losses += 1
            if self._losses == _MOST_LOSSES:
                self._give_up(f"{error}, {_MOST_LOSSES} times")
            raise
        except Stale:
            self._leave()
            return self._run_warm(program, switch)
        except Refused as error:
            self._give_up(str(error))
            return run_process(program, switch)
        except OSError:
            raise
        except BaseException:
            self._leave()  # in the middle of a line, perhaps
            raise
        return ended

    def _give_up(self, reason: str) -> None:
        self.close()
        self._given_up = True
        self.note(f"Each trial starts a fresh interpreter, because {reason}")

    def _is_ready(self, environment: Mapping[str, str], switch: StopSwitch) -> bool:
        """See that there is a branch for this environment, if there can be one; return whether nobody asked to stop."""
        if self._given_up:
            return True
        deadline = time.monotonic() + PRELOAD_SECONDS
        for _ in range(_MOST_CALLS):
            base = self._base_of(environment)
            if self._branch is not None and base == self._base:
                return True
            self._leave()
            self._base = base
            try:
                end = self._call(deadline, switch)
            except HostLost:
                continue
            if end is None:
                return False
            for module, because in end.left.items():
                self._note_on_import(module, because)
            if isinstance(end, Useless):
                self._give_up(end.reason)
                return True
            self._waiting = dict(end.waiting)
            self._looks = self._looks or end.looked
            if self._base_of(environment) == base:
                return True
        raise HostLost(f"its warm host was lost {_MOST_CALLS} times before it was ready")

    def _base_of(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the host: with what is this worker's own, where its imports look at that."""
        own = () if self._looks else [name for name in OF_A_WORKER if environment.get(name)]
        return {name: value for name, value in environment.items() if name not in OF_A_TRIAL and name not in own}

    def _call(self, deadline: float, switch: StopSwitch) -> Ready | Useless | None:
        """Call the host; keep what it forks for this worker, if that is ready."""
        try:
            branch = Branch(self._shared.call(self._model, self._base))
        except NoHost as error:
            return Useless(str(error))
        end = None
        try:
            end = branch.prepare(self._model, deadline, lambda: switch.how is not None)
        finally:
            if isinstance(end, Ready):
                self._branch = branch
            else:
                branch.end()
        return end

    def _note_on_import(self, module: str, because: str) -> None:
        if self._model.preload is not None and module in self._model.preload.modules:
            self.note(f"preload: {module} is imported by each trial itself: {because}")
