"""Trials that misbehave, each in its own way: how each failure is reported, and that nothing of them is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.process.memory import speaks_of_memory
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput, gone

LINUX = sys.platform.startswith("linux")

# Each writes the numbers of its processes into `pids`, then ends in the way of its name.
DEATHS = r"""
import os, signal, subprocess, sys, time

def note(*pids):
    with open("pids", "a") as file:
        print(os.getpid(), *pids, file=file)

def daemon():
    # As daemons do it: a child in its own session, whose parent ends.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note()
            time.sleep(600)
        os._exit(0)

how = hyperparams["how"]
note()
if how == "completes":
    val_to_return = 1
elif how == "completes and leaves a child":
    note(subprocess.Popen(["sleep", "600"]).pid)
    val_to_return = 1
elif how == "completes and leaves a daemon":
    daemon()
    note(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
    while len(open("pids").read().split()) < 4:
        time.sleep(0.01)
    val_to_return = 1
elif how == "raises":
    raise ValueError("too deep")
elif how == "exits":
    sys.exit(3)
elif how == "exits at once":
    os._exit(4)
elif how == "crashes":
    os.kill(os.getpid(), signal.SIGSEGV)
elif how == "aborts":
    os.abort()
elif how == "is killed":
    os.kill(os.getpid(), signal.SIGKILL)
elif how == "leaves nothing":
    pass
elif how == "returns nan":
    val_to_return = float("nan")
elif how == "is refused memory":
    bytearray(1 << 62)
elif how == "hangs":
    time.sleep(600)
elif how == "hangs and ignores":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
elif how == "hangs with a daemon":
    daemon()
    time.sleep(600)
elif how == "is stopped":
    os.kill(os.getpid(), signal.SIGSTOP)
elif how == "prints for ever":
    while True:
        print("x" * 100_000)
elif how == "reports to a pipe":
    os.mkfifo(os.environ["CANDLE_RESULT_FILE"])
elif how == "reports a device":
    os.symlink("/dev/zero", os.environ["CANDLE_RESULT_FILE"])
"""

EXPECTED = {
    "completes": (Status.COMPLETED, ""),
    "completes and leaves a child": (Status.COMPLETED, ""),
    "completes and leaves a daemon": (Status.COMPLETED, ""),
    "raises": (Status.FAILED, "exit status 1; last output: ValueError: too deep"),
    "exits": (Status.FAILED, "exit status 3"),
    "exits at once": (Status.FAILED, "exit status 4"),
    "crashes": (Status.FAILED, "ended by signal SIGSEGV"),
    "aborts": (Status.FAILED, "ended by signal SIGABRT"),
    "is killed": (Status.FAILED, "ended by signal SIGKILL"),
    "leaves nothing": (Status.FAILED, "it ended without a value"),
    "returns nan": (Status.FAILED, "val_to_return is nan, not a finite number"),
    "is refused memory": (Status.OUT_OF_MEMORY, "exit status 1; last output: MemoryError"),
    "hangs": (Status.TIMED_OUT, "it ran longer than trial_timeout"),
    "hangs and ignores": (Status.TIMED_OUT, "it ran longer than trial_timeout"),
    "hangs with a daemon": (Status.TIMED_OUT, "it ran longer than trial_timeout"),
    "is stopped": (Status.TIMED_OUT, "it ran longer than trial_timeout"),
    "prints for ever": (Status.FAILED, "it printed more than max_output, and was ended"),
    "reports to a pipe": (Status.FAILED, "reported_result.json is not a regular file"),
    "reports a device": (Status.FAILED, "reported_result.json is not a regular file"),
}


def outcomes(here: Path) -> dict[str, Outcome]:
    history = History(Objective(Direction.MINIMIZE), read_events(here / "last-candle-job" / "events.jsonl"))
    return {str(row.trial.hyperparameters["how"]): row.outcome for row in history.trials.values() if row.outcome}


def sets(names: list[str]) -> str:
    return "\n".join(json.dumps({"how": name}) for name in names)


@pytest.mark.skipif(not LINUX, reason="escaped processes are found on Linux alone")
def test_each_failure_is_reported_as_what_it_is_and_leaves_nothing(
    write_input: WriteInput, here: Path, candle: Candle
) -> None:
    path = write_input(
        DEATHS,
        "nworkers=6\ntrial_timeout=00:00:06\nmax_output=1\nmax_failures=0",
        "",
        sets(list(EXPECTED)),
    )
    done = candle("submit-job", path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    found = outcomes(here)
    for how, (status, reason) in EXPECTED.items():
        assert found[how].status is status, (how, found[how])
        assert found[how].reason.startswith(reason), (how, found[how])
    pids = [int(pid) for file in here.glob("last-candle-job/run/*/pids") for pid in file.read_text().split()]
    assert len(pids) >= len(EXPECTED) + 4
    assert gone(*pids)
    for output in here.glob("last-candle-job/run/*/subprocess_out_and_err.txt"):
        assert output.stat().st_size <= 1_000_000
    # The kinds of failure are the model's own: nothing of them is attempted again, unless the user says so.
    resumed = candle("resume")
    assert resumed.returncode == 1
    assert "nothing is left to do, 16 of 19 trials have failed" in resumed.stdout
    assert "candle resume X000 --retry-failed attempts them again" in resumed.stdout


@pytest.mark.parametrize(
    "lines",
    [
        ["Traceback (most recent call last):", "MemoryError"],
        ["numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.45 TiB for an array"],
        ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB."],
        ["torch.cuda.OutOfMemoryError: CUDA out of memory. Tried", "srun: error: x"],
        ["RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 7.79 GiB total capacity"],
        ["tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape[8]"],
        ["Error: cannot allocate vector of size 74505.8 Gb", "Execution halted"],
        ["terminate called after throwing an instance of 'std::bad_alloc'", "  what():  std::bad_alloc"],
        ['Exception in thread "main" java.lang.OutOfMemoryError: Java heap space'],
    ],
)
def test_last_words_that_speak_of_memory(lines: list[str]) -> None:
    assert speaks_of_memory(lines)


@pytest.mark.parametrize(
    "lines", [["ValueError: MemoryErrors: 0"], ["out of memory budget 5 of 7"], ["memory: 3 GB"], []]
)
def test_last_words_that_do_not(lines: list[str]) -> None:
    assert not speaks_of_memory(lines)


def memory_cgroup() -> Path | None:
    """Return this process's memory cgroup, if it may make groups within."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        number, controllers, path = line.split(":", 2)
        mount = Path("/sys/fs/cgroup") / ("memory" if number != "0" else "")
        if controllers in ("memory", "") and (mount / path.lstrip("/") / "cgroup.procs").exists():
            group = mount / path.lstrip("/")
            if os.access(group, os.W_OK) and ((group / "memory.limit_in_bytes").exists() or _gives_memory(group)):
                return group
    return None


def _gives_memory(group: Path) -> bool:
    control = group / "cgroup.subtree_control"
    return control.exists() and "memory" in control.read_text()


@pytest.fixture
def cgroup() -> Iterator[Callable[[], None]]:
    """A memory cgroup of 150 MB; the function puts the process that calls it there."""
    parent = memory_cgroup()
    if parent is None:
        pytest.skip("making a memory cgroup needs root, and a system that lets it")
    group = parent / f"candle_test_{os.getpid()}"
    group.mkdir()
    limit = group / "memory.limit_in_bytes"
    (limit if limit.exists() else group / "memory.max").write_text("150000000")
    if (group / "memory.swap.max").exists():
        (group / "memory.swap.max").write_text("0")

    def enter() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    try:
        yield enter
    finally:
        deadline = time.monotonic() + 30
        while True:
            try:
                group.rmdir()
                break
            except OSError:
                assert time.monotonic() < deadline, "processes are left in the cgroup"
                time.sleep(0.05)


@pytest.mark.parametrize("script", ["python", "bash"])
def test_what_the_kernel_ends_for_lack_of_memory_is_distinguished_from_what_others_kill(
    write_input: WriteInput, here: Path, cgroup: Callable[[], None], script: str
) -> None:
    grow = "x = bytearray(400_000_000); import os; os.write(1, x[:1])"
    path = write_input(
        f"""
        import os, signal
        if hyperparams["how"] == "grows":
            {grow}
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        "",
        "",
        sets(["grows", "is killed"]),
    )
    if script == "bash":
        (here / "model.sh").write_text(
            f'if [ $(candle_get_param how) = grows ]; then {sys.executable} -c "{grow}"; else kill -9 $$; fi\n'
        )
        path.write_text(path.read_text().replace("model.py", "model.sh"))
    done = subprocess.run(
        [sys.executable, "-m", "candle_hpo", "submit-job", path.name],
        cwd=here, capture_output=True, text=True, timeout=60, preexec_fn=cgroup,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    found = outcomes(here)
    assert found["grows"].status is Status.OUT_OF_MEMORY, found
    assert "the system ended a process that ran out of memory meanwhile" in found["grows"].reason
    assert found["is killed"].status is Status.FAILED
    assert "memory" not in found["is killed"].reason
    assert "1 out of memory" in done.stdout


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="there is no R (Debian: apt-get install r-base-core)")
def test_an_r_script_that_is_refused_memory(write_input: WriteInput, here: Path, candle: Candle) -> None:
    path = write_input("", param_space='{"how": "grows"}', default_model="")
    (here / "model.R").write_text("x <- numeric(1e15)\n")
    path.write_text(path.read_text().replace("model.py", "model.R"))
    assert candle("submit-job", path).returncode == 1
    assert outcomes(here)["grows"].status is Status.OUT_OF_MEMORY, outcomes(here)


PROCESSES = {
    "model.py": "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\n"
    "away = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    "print(os.getpid(), child.pid, file=open('pids', 'w'))\nprint(away.pid, file=open('away', 'w'))\ntime.sleep(600)\n",
    "model.sh": "sleep 600 &\nsetsid sleep 600 &\necho $! > away\necho $$ $(jobs -p | head -1) > pids\nwait\n",
    "model.R": "system('sleep 600 & echo $! $PPID > pids; setsid sleep 600 & echo $! > away')\nSys.sleep(600)\n",
    "model": "#!/bin/sh\ntrap '' TERM HUP\nsleep 600 &\necho $$ $! > pids\nsetsid sleep 600 &\necho $! > away\nwait\n",
}


@pytest.mark.parametrize("name", list(PROCESSES))
def test_no_process_outlives_a_killed_campaign_for_long(
    write_input: WriteInput, here: Path, candle: Candle, name: str
) -> None:
    """With kill -9, all of each trial end at once; what has escaped, before anything is attempted again."""
    if name.endswith(".R") and shutil.which("Rscript") is None:
        pytest.skip("there is no R (Debian: apt-get install r-base-core)")
    path = write_input("", "nworkers=2", "", '{"x": 1}\n{"x": 2}')
    script = here / name
    script.write_text(PROCESSES[name])
    script.chmod(0o755)
    path.write_text(path.read_text().replace("model.py", name))
    process = subprocess.Popen([sys.executable, "-m", "candle_hpo", "submit-job", path.name], cwd=here)
    pids, away = wait_for_pids(here, "pids", 2), wait_for_pids(here, "away", 2)
    assert len(pids) == 4
    wait_for_own_sessions(away)
    process.kill()
    process.wait()
    assert gone(*pids, *(away if LINUX else ()))
    its = {**os.environ, "CANDLE_EXPERIMENT_DIR": str((here / "last-candle-job").resolve())}
    escaped = subprocess.Popen(["sleep", "600"], env=its, start_new_session=True)
    script.write_text(
        "val_to_return = 1\n" if name == "model.py" else "val_to_return=1\n" if name != "model" else
        '#!/bin/sh\necho 1 > "$CANDLE_RESULT_FILE"\n'
    )  # fmt: skip
    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "2 trials: 2 completed" in resumed.stdout
    if LINUX:
        assert "1 of its trials' processes ran still; ended now" in resumed.stdout
        assert escaped.wait(30) == -signal.SIGKILL
    else:
        for pid in (escaped.pid, *away):
            with contextlib.suppress(ProcessLookupError):  # a few processes show their environment there, too
                os.kill(pid, signal.SIGKILL)


def wait_for_own_sessions(pids: list[int]) -> None:
    """Wait until each has left its trial's group: `setsid` is a program that has to start before it can do that."""
    deadline = time.monotonic() + 30
    while any(os.getsid(pid) != pid for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_pids(here: Path, name: str, count: int) -> list[int]:
    deadline = time.monotonic() + 30
    while True:
        found = [file for file in here.glob(f"last-candle-job/run/*/{name}") if file.read_text().endswith("\n")]
        if len(found) >= count:
            return [int(pid) for file in found for pid in file.read_text().split()]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans on to a process of their ancestors")
def test_what_a_shell_had_left_before_it_became_candle_is_not_ended(write_input: WriteInput, here: Path) -> None:
    write_input()
    line = f"setsid sleep 300 & echo $! > pid; exec {sys.executable} -m candle_hpo submit-job x.in"
    subprocess.run(["bash", "-c", line], cwd=here, stdout=subprocess.DEVNULL, timeout=60, check=True)
    pid = int((here / "pid").read_text())
    assert Path(f"/proc/{pid}").exists()
    os.kill(pid, signal.SIGKILL)
