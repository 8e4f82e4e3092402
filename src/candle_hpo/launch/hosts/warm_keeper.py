"""One import for all workers of a node: who waits for it, who does it, and who is forked of it for whom.

Read by `python_warm_host.py`, in the user's interpreter. Four kinds of processes, each forked of the one before:

    keeper   imports nothing; accepts the workers, and ends when it has none. Where an import cannot be shared, it
             begins another host without that
    host     has imported what all trials share; forks a branch for each worker
    branch   serves one worker for as long as their connection lasts, and adopts what its trials leave behind
    trial

The first is here, the next two are in `warm_branch.py`.
"""

from __future__ import annotations

import _socket  # what `socket` stands on, which the script may import for itself
import contextlib
import json
import os
import select
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_RESTARTS = 5  # of a host that has met an import which cannot be shared


class Channel:
    """A socket on which objects are said, one JSON object a line."""

    def __init__(self, connected: Any) -> None:
        self.socket = connected
        self.descriptor: int = connected.fileno()
        self._rest = b""

    def receive(self) -> bool:
        """Take what has come, or wait for it; return whether the other end is there."""
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        self._rest += data
        return bool(data)

    def next(self) -> Any:
        """Return the next object that has come; None if there is none yet."""
        line, end, rest = self._rest.partition(b"\n")
        if not end:
            return None
        self._rest = rest
        return json.loads(line.decode("ascii"))

    def has_word(self) -> bool:
        """Return whether something has come that was not taken, if only the end."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def write(self, message: dict[str, object]) -> None:
        """Send an object; whoever is gone does not hear it."""
        with contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(message).encode("ascii") + b"\n")

    def close(self) -> None:
        """Leave the socket to others."""
        self.socket.close()


class Keeper:
    """Keeps a host for the workers that call at a socket."""

    def __init__(self, listening: int) -> None:
        self._listening: Any = _socket.socket(fileno=listening)
        self._plan: Any = None
        self._left: dict[str, str] = {}
        self._callers: list[Channel] = []  # workers that have not said yet what they want
        self._waiting: list[Channel] = []  # those that have, and have no branch yet
        self._passed: Channel | None = None  # the one for which the host forks
        self._given = 0  # to this host
        self._restarts = 0
        self._no_host()

    def _no_host(self) -> None:
        self._host: Channel | None = None
        self._process = 0
        self._importing = ""
        self._is_ready = self._is_leaving = False
        self._is_used = False

    def run(self, trouble: str) -> tuple[Any, Channel]:
        """Serve until no worker is left; return in a host that is to be, with what it is to import, and who asks.

        `trouble` is why there cannot be one.
        """
        self._accept()
        while self._callers or self._waiting or self._passed is not None or self._is_used:
            if trouble and self._waiting:
                self._give_up(trouble)
            elif self._host is None and self._waiting:
                asked = self._begin()
                if asked is not None:
                    return {**self._plan, "left": self._left}, asked
            elif self._host is not None and self._is_ready and self._waiting and self._passed is None:
                self._pass_on(self._host)
            else:
                self._look()
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        os._exit(0)

    def _begin(self) -> Channel | None:
        """Fork a process that is to be the host; return, in that, the channel to this one."""
        os.ftruncate(1, 0)  # what its imports print is here
        os.lseek(1, 0, os.SEEK_SET)
        ours, its = _socket.socketpair()
        self._process = os.fork()
        if self._process == 0:
            others: list[Any] = [ours, self._listening, *self._callers, *self._waiting]
            for each in others:
                each.close()
            return Channel(its)
        its.close()
        self._host, self._given = Channel(ours), 0
        return None

    def _look(self) -> None:
        """Wait until something happens, and act on it."""
        poll = select.poll()
        host = [] if self._host is None else [self._host]
        workers = [*self._callers, *self._waiting]
        for descriptor in (self._listening.fileno(), *(each.descriptor for each in (*host, *workers))):
            poll.register(descriptor, select.POLLIN)
        happened = {descriptor for descriptor, _ in poll.poll()}
        for worker in [each for each in workers if each.descriptor in happened]:
            self._listen_to(worker)
        for each in host:
            if each.descriptor in happened:
                self._hear(each)
        if self._listening.fileno() in happened:
            self._accept()

    def _accept(self) -> None:
        connected = _socket.socket(fileno=self._listening._accept()[0])
        whose = connected.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # struct ucred: three numbers
        if int.from_bytes(whose[4:8], sys.byteorder) != os.getuid():
            connected.close()
            return
        self._callers.append(Channel(connected))

    def _listen_to(self, worker: Channel) -> None:
        is_there = worker.receive()
        plan = worker.next()
        for each in (self._callers, self._waiting):
            if worker in each and (plan or not is_there):
                each.remove(worker)
        if not is_there:
            worker.close()
        elif plan:
            self._plan = plan  # all say the same
            self._waiting.append(worker)
            if self._importing and not self._is_ready:
                worker.write({"importing": self._importing})

    def _hear(self, host: Channel) -> None:
        if not host.receive():
            self._host_has_ended(host)
            return
        while True:
            message = host.next()
            if message is None:
                return
            if "importing" in message:
                self._importing = message["importing"]
                for each in self._waiting:
                    each.write(message)
            elif "unsafe" in message:
                self._is_leaving = True
                self._leave(message["unsafe"], message["because"])
            elif "useless" in message:
                self._is_leaving = True
                self._give_up(message["useless"])
            elif "ready" in message:
                self._is_ready = True
            elif "stale" in message:
                self._is_leaving, self._is_ready, self._is_used = True, False, False
                self._take_back()
            elif "forked" in message and self._passed is not None:
                self._passed.close()
                self._passed = None
            elif "unused" in message:
                self._is_used = self._is_used and message["unused"] != self._given

    def _pass_on(self, host: Channel) -> None:
        """Have the host fork a branch for a worker that waits."""
        self._passed = self._waiting.pop(0)
        self._is_used = True
        self._given += 1
        descriptor = self._passed.descriptor.to_bytes(4, sys.byteorder)
        with contextlib.suppress(OSError):  # it has ended, which is seen next
            host.socket.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor)])

    def _take_back(self) -> None:
        if self._passed is not None:
            self._waiting.insert(0, self._passed)
            self._passed = None

    def _host_has_ended(self, host: Channel) -> None:
        status = exit_status(os.waitpid(self._process, 0)[1])
        importing, is_no_surprise = self._importing, self._is_leaving or self._is_ready
        host.close()
        self._take_back()
        self._no_host()
        if is_no_surprise:
            return
        if importing:
            self._leave(importing, f"its import ends the process ({status})")
        else:
            self._give_up(f"its interpreter did not start a host (exit status {status})")

    def _leave(self, module: str, because: str) -> None:
        self._left[module] = because
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            self._give_up("too many of its imports cannot be done beforehand: " + ", ".join(sorted(self._left)))

    def _give_up(self, reason: str) -> None:
        for each in self._waiting:
            each.write({"useless": reason, "left": self._left})
            each.close()
        self._waiting = []


def exit_status(status: int) -> int:
    """Return what wait(2) says as an exit status, or minus the number of a signal."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
