"""A real SLURM cluster of several nodes on this machine, with pretend GPUs, for tests and benchmarks.

Nothing of the system's own SLURM or munge is touched: every daemon has its own configuration, ports, key and
sockets in one folder, and is ended with it. Needs root, and Debian's packages slurm-wlm and munge.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from support.daemons import Daemons, free_ports, path_with

_CONFIGURATION = """
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
AuthType=auth/munge
AuthInfo=socket={munge}
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool_%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd_%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd_%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin={task_plugin}
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
{accounting}
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
EnforcePartLimits=ALL
KillWait=5
OverTimeLimit=0
InactiveLimit=0
MinJobAge=300
SlurmdTimeout=300
SlurmdParameters=config_overrides
{more}NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first_port}-{last_port}] \
CPUs={cpus} RealMemory=64000 Gres=gpu:k80:2
PartitionName=norm Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
"""


_NO_ACCOUNTS = "AccountingStorageType=accounting_storage/none"
_INTERCHANGE = "parsl_programs interchange"

# Which SLURM a cluster is of: the folder where tools/unpack_slurm.sh has unpacked it, or None for that of this machine.
# CANDLE_TESTS_SLURM names the suite whose SLURM all tests are to have.
_BUILD = Path(__file__).parents[2] / "build"
NEWER: Path | None = _BUILD / "slurm-trixie"
INSTALLED = _BUILD / f"slurm-{os.environ['CANDLE_TESTS_SLURM']}" if "CANDLE_TESTS_SLURM" in os.environ else None


def why_not(system: Path | None = INSTALLED) -> str:
    """Return what this machine lacks for such a cluster, nothing where it can be."""
    programs = ["slurmctld", "slurmd", "sbatch", "srun", "sinfo", "munged"]
    if system is not None and not (system / "complete").exists():
        return f"there is no SLURM in {system} (on Debian: tools/unpack_slurm.sh {system.name.partition('-')[2]})"
    missing = [program for program in programs if shutil.which(program, path=path_with(system)) is None]
    missing += ["root"] if os.geteuid() != 0 else []
    packages = "Debian: apt-get install slurm-wlm munge"
    return f"a real SLURM cluster needs {', '.join(missing)} ({packages})" if missing else ""


class SlurmCluster(Daemons):
    """Starts the cluster, of the SLURM in `system` if that is given; `stop()` ends all of it for sure."""

    def __init__(self, folder: Path, nodes: int = 4, system: Path | None = INSTALLED, cpus: int = 8) -> None:
        super().__init__(folder, {"SLURM_CONF": str(folder / "slurm.conf")}, system)
        self.nodes, self._cpus = nodes, cpus
        for name in ["state", *(f"spool_n{number}" for number in range(1, nodes + 1))]:
            (folder / name).mkdir(exist_ok=True)
        if system is not None:
            self.environment["PATH"] = f"{system / 'bin'}{os.pathsep}{os.environ['PATH']}"
        try:
            self._prepare_places()
            self._write_configuration()
            self._prepare_controller()
            self.start_controller()
            for number in range(1, nodes + 1):
                self.start_node(f"n{number}")
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _prepare_places(self) -> None:
        """Make what `at` needs."""

    def _prepare_controller(self) -> None:
        """Start what the controller needs."""
        self.start_munge()

    def start_controller(self) -> None:
        """Start the cluster's controller."""
        self.start("slurmctld", ["slurmctld", "-D", "-f", str(self.folder / "slurm.conf")])

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        command = ["slurmd", "-D", "-N", name, "-f", str(self.folder / "slurm.conf")]
        self.start(name, command if self._system is None else [*command, "-d", str(self._system / "bin/slurmstepd")])

    def send(self, name: str, number: signal.Signals, *, to_all: bool = False) -> None:
        """Send a signal to the daemon of a node; with `to_all`, to everything that jobs run there too."""
        _signal(self._daemons[name].pid, number)
        if to_all:
            self.signal_jobs_on(name, number)

    def signal_jobs_on(self, name: str, number: signal.Signals) -> None:
        """Send a signal to everything that jobs run on a node."""
        for process in sorted(set(self.processes(name)) - set(self.processes(name, _INTERCHANGE))):
            _signal(process, number)

    def queue(self) -> str:
        """Return the state of all jobs, for messages of tests."""
        return self.run("squeue", "--all", "--states=all", "--format=%i %j %T %r %N")

    def wait_until_empty(self, seconds: float) -> None:
        """Wait until no job is left; cancel what is, and fail, after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.run("squeue", "--noheader").strip():
            if time.monotonic() > deadline:
                state = self.queue()
                self.run("scancel", "--user=root")
                raise AssertionError(f"still in the queue after {seconds} s:\n{state}")
            time.sleep(0.25)

    def stop(self) -> None:
        """End every daemon, and what they left running."""
        super().stop()
        subprocess.run(["pkill", "-KILL", "-f", f"slurmstepd.*{self.folder}"], check=False)

    def _accounts(self) -> dict[str, str]:
        """Return the cluster's name and what it has to do with others, where that is not the usual."""
        return {}

    def _write_configuration(self) -> None:
        ports = free_ports(self.nodes + 1)
        accounts = {"name": "candletest", "munge": str(self.folder / "munge.socket"), "accounting": _NO_ACCOUNTS}
        host = socket.gethostname()
        (self.folder / "slurm.conf").write_text(
            _CONFIGURATION.format(
                folder=self.folder,
                host=host,
                nodes=self.nodes,
                cpus=self._cpus,
                controller_port=ports[-1],
                first_port=ports[0],
                last_port=ports[self.nodes - 1],
                task_plugin="task/none" if self._system is None else "task/affinity",
                more="" if self._system is None else f"PluginDir={self._system / 'plugins'}\n",
                **accounts | self._accounts(),
            )
        )
        devices = self.folder / "devices"
        devices.mkdir(exist_ok=True)
        for number in range(2):
            device = devices / f"nvidia{number}"
            if not device.exists():
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(195, number))
        if self._system is not None and self.run("slurmd", "-V") > "slurm-wlm 22":  # older ones do not know it
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        (self.folder / "gres.conf").write_text(
            f"NodeName=n[1-{self.nodes}] Name=gpu Type=k80 Count=2 File={devices}/nvidia[0-1]\n"
        )

    def processes(self, node: str, word: str = "") -> list[int]:
        """Return the processes of this cluster's jobs on a node; `word` is in their command line."""
        found: list[int] = []
        marks = (f"SLURMD_NODENAME={node}".encode(), f"SLURM_CONF={self.environment['SLURM_CONF']}".encode())
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            is_own = all(mark in environment for mark in marks) or self._is_interchange(process, command)
            if is_own and word in command:
                found.append(int(process.name))
        return found

    def _is_interchange(self, process: Path, command: str) -> bool:
        """Return whether this is Parsl's interchange of a job here: it sees nothing of SLURM."""
        try:
            return _INTERCHANGE in command and (process / "cwd").resolve().is_relative_to(self.folder.parent)
        except OSError:
            return False

    def wait_until_nothing_runs(self, seconds: float) -> None:
        """Wait until no process of any job is left on any node; fail with those that are after so many seconds."""
        deadline = time.monotonic() + seconds
        while left := [pid for number in range(1, self.nodes + 1) for pid in self.processes(f"n{number}")]:
            if time.monotonic() > deadline:
                shown = subprocess.run(["ps", "-fp", ",".join(map(str, left))], capture_output=True, text=True).stdout
                raise AssertionError(f"still running after {seconds} s:\n{shown}")
            time.sleep(0.1)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            done = subprocess.run(
                self.at("slurmctld", ["sinfo", "--noheader", "--partition=norm", "--format=%T %D"]),
                env={**os.environ, **self.environment},
                capture_output=True,
                text=True,
            )
            if done.stdout.split() == ["idle", str(self.nodes)]:
                return
            for name in self._daemons:
                self._check(name, deadline, f"{done.stdout}{done.stderr}")


def _signal(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # a trial that has ended
        os.kill(process, number)
