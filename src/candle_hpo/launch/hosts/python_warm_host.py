"""Keeps an interpreter with a script's libraries imported for a node's workers, and forks a process for each trial.

This file runs in the user's interpreter, from Python 3.7 on, on Linux, and needs nothing but the standard library:

    python [INTERPRETER ARGUMENTS] python_warm_host.py PROCESS NAMESPACE

Its standard input is a socket at which workers call; the arguments are the number of the worker that started it, and in
which namespace that number counts. Which processes there are, `warm_keeper.py` says. On its connection, a worker
speaks with its branch of the host, one JSON object a line, each way:

    the worker                 this host
    {"script", "modules", …}   {"importing": name} before each import, then {"process", "waiting", "left", "looked"}:
                               the number of its branch; what the script imports that is left to the trials, with the
                               reasons; which modules were found out to be such by importing them; whether an import has
                               looked at a variable in which workers differ. Or {"useless": reason, "left"}
    {"run": {…}}               {"pid": number} from the new process, or {"error": [number, text]}, or {"stale": true}
                               where what was imported is not what there is now; then, if it was forked, {"status":
                               number, "seconds": {…}} when it has ended: how long its imports took
    {"reap": true}             nothing: the number of the process is given back only now

What it prints while it imports, each trial's output begins with. The process of a trial is what `python_host.py` makes
of a fresh one: what it may inherit, `warm_imports.py` says.
"""

from __future__ import annotations

import ctypes
import gc
import io
import os
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def main() -> None:
    """Import what the script imports, then fork a process for each request, which runs what follows `serve`."""
    host: Any = types.ModuleType("python_host.py")
    host.__file__ = os.path.join(os.path.dirname(os.path.abspath(__file__)), host.__name__)
    with open(host.__file__, "rb") as file:
        exec(compile(file.read(), host.__file__, "exec", dont_inherit=True), host.__dict__)
    script, imports, ending = map(host.load, ("warm_script.py", "warm_imports.py", "warm_end.py"))
    keeping, branches, lookups = map(host.load, ("warm_keeper.py", "warm_branch.py", "warm_lookups.py"))
    listening, marker, began_in = taken_from_stdin(), Marker(), os.getcwd()
    plan, keeper = keeping.Keeper(listening).run(trouble_with(*sys.argv[1:3]))
    host.end_with_parent()
    host.become_the_script(host.__file__, [plan["script"]])
    main_module = types.ModuleType("__main__")
    main_module.__dict__.update(host.namespace_of(sys.argv[0], "__main__", {}))
    for name in (*host.HYPERPARAMETER_NAMES, host.value.candle_report.__name__):
        del main_module.__dict__[name]
    sys.modules["__main__"] = main_module
    known = script.Known(plan["libraries"], plan["modules"])
    stranger = imports.not_known_at_the_start(known, plan["at_start"])
    if stranger:
        keeper.write({"useless": "Python itself loads " + stranger + ", which is not known to behave the same"})
        return
    paths = [*script.files_around(plan["script"], os.environ.get(host.MODULE_VARIABLE, "")), plan["script"]]
    wanted, waiting = script.read_imports(paths, known, plan["left"])
    named = [name for name in plan["modules"] if name not in plan["left"]]
    later = script.imported_later(plan["script"], plan["later"], wanted, plan["left"])
    gate = imports.Gate(script, known)
    watched = lookups.Lookups(plan["of_a_worker"], plan["libraries"])
    imports.import_all([*wanted, *later], named, gate, plan["generators"], keeper.write)
    looked = watched.end()
    sys.stdout.flush()
    sys.stderr.flush()
    printed = os.pread(1, 1 << 20, 0)
    inherited = ending.Inherited(plan["harmless"], plan["patterns"])

    def begins_with() -> set[str]:
        return {name for name, _ in script.read_imports(paths, known, plan["left"])[0]}

    theirs = {name for name, _ in wanted if name not in named and not known.is_standard(name)}
    own_files = imports.OwnFiles(script, plan["script"], theirs, begins_with)
    gc.collect()
    gc.freeze()
    keeper.write({"ready": True})
    channel, wakes = branches.fork_branches(keeper, own_files.have_changed)
    times = imports.Times(waiting, host.after_import.AfterImport)
    channel.write({"process": os.getpid(), "waiting": waiting, "left": plan["left"], "looked": looked})
    request = serve(channel, wakes, branches, imports.threads, own_files.have_changed, marker, printed, times)
    imports.renew(plan["folders"], plan["generators"], began_in)
    if sys.path and sys.path[0] == os.path.dirname(os.path.realpath(sys.argv[0])):
        sys.path[0] = os.path.dirname(os.path.realpath(request["script"]))
    host.become_the_script(host.__file__, [request["script"], *request["arguments"]])
    times.begin()
    ending.end_as(lambda: host.run_as_main(host.__file__), inherited)


def taken_from_stdin() -> int:
    """Take the socket away from the standard input, which becomes empty; return its descriptor."""
    listening = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return listening


def trouble_with(process: str, namespace: str) -> str:
    """Return why this process cannot be a host of the worker that started it; "" if it can."""
    if namespace == os.readlink("/proc/self/ns/pid"):
        if os.getppid() == int(process):
            return ""
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:  # it is gone, and with it whoever could say
            os._exit(0)
    return "its interpreter is a wrapper that starts Python in its own process"


class Marker:
    """Where a process shows, to all who look at its environment from outside, to which trial it belongs.

    A process that is only forked shows what its host was started with, proc(5). So the host is started with a value
    that is long enough, which is taken out of its own environment, and in each trial written over.
    """

    VARIABLE = "CANDLE_PARAMS_FILE"

    def __init__(self) -> None:
        self._place = self._size = 0
        value = os.environ.pop(self.VARIABLE, "")
        with open("/proc/self/stat", "rb") as file:
            begin, end = map(int, file.read().rpartition(b")")[2].split()[47:49])
        if value and begin:
            entry = os.fsencode(self.VARIABLE + "=")
            found = ctypes.string_at(begin, end - begin).find(b"\0" + entry + os.fsencode(value) + b"\0")
            if found >= 0:
                self._place, self._size = begin + found + 1 + len(entry), len(value)

    def set(self, value: str) -> None:
        """Show this value; what is left of the place is a separate entry, for an empty one would end the list."""
        data = os.fsencode(value)
        if len(data) <= self._size:
            ctypes.memmove(self._place, (data + b"\0").ljust(self._size, b"/")[: self._size], self._size)


def serve(
    channel: Any,
    wakes: Any,
    branches: Any,
    threads: Callable[[], str],
    is_stale: Callable[[], bool],
    marker: Marker,
    printed: bytes,
    times: Any,
) -> Any:
    """Fork a process for each request; return in such a process, with its request. Ends this one with its worker."""
    me = os.getpid()
    end_with_parent = ctypes.CDLL(None).prctl
    running = 0
    while True:
        message = branches.hear(channel, wakes, running)
        if "reap" in message:
            os.waitpid(running, 0)
            running = 0
            continue
        request = message["run"]
        if is_stale():
            channel.write({"stale": True})
            continue
        trouble = threads()
        if trouble:
            channel.write({"error": [0, trouble]})
            continue
        try:
            running = os.fork()
        except OSError as error:
            channel.write({"error": [error.errno, str(error)]})
            continue
        if running == 0:
            try:
                os.setsid()
                end_with_parent(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
                if os.getppid() != me:
                    os._exit(1)
                wakes.end()
                become_the_trial(request, printed)
                marker.set(request["environment"][Marker.VARIABLE])
            except OSError as error:
                channel.write({"error": [error.errno, str(error)], "forked": True})
                os._exit(1)
            channel.write({"pid": os.getpid()})
            channel.close()
            return request
        ended: Any = branches.wait_for_end(channel, wakes, running)
        by_signal = ended.si_code != os.CLD_EXITED
        status = -ended.si_status if by_signal else ended.si_status
        channel.write({"status": status, "seconds": times.take()})


def become_the_trial(request: Any, printed: bytes) -> None:
    """Give this process the directory, the environment and the output of its trial."""
    begins = 0 if request["continues"] else os.O_TRUNC
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | begins, 0o666)
    os.chdir(request["directory"])
    os.environ.update(request["environment"])
    while printed:
        printed = printed[os.write(output, printed) :]
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    if request["stdin"]:
        source = os.open(request["stdin"], os.O_RDONLY)
        os.dup2(source, 0)
        os.close(source)
        # What was opened for the host's own input takes it for one that cannot be rewound.
        raw = io.FileIO(0, closefd=False)
        raw.name = "<stdin>"
        of_host: Any = sys.__stdin__
        stream: Any = io.TextIOWrapper(io.BufferedReader(raw), encoding=of_host.encoding, errors=of_host.errors)
        sys.stdin = stream
        sys.__dict__["__stdin__"] = stream


if __name__ == "__main__":
    main()
