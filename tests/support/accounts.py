"""SLURM clusters with accounts: one database, and one slurmdbd, for all of them. All is ended with the tests.

MariaDB and slurmdbd are started here and by nobody else, each with its own files, socket and port.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from support.daemons import Daemons, free_ports, path_with
from support.slurm_cluster import SlurmCluster

_SYSTEM_TABLES = Path("/usr/share/mysql/mysql_system_tables.sql")
_DATABASE = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounts
"""
_OF_A_CLUSTER = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits,qos
FirstJobId={first_job}"""


def why_no_accounts() -> str:
    """Return what this machine lacks for clusters with accounts, nothing where they can be."""
    programs = ["mariadbd", "slurmdbd", "sacctmgr"]
    missing = [program for program in programs if shutil.which(program, path=path_with()) is None]
    packages = "Debian: apt-get install mariadb-server-core slurmdbd"
    return f"accounts of SLURM need {', '.join(missing)} ({packages})" if missing else ""


class Accounts(Daemons):
    """The database of accounts, the daemon that asks it, and the munge by which both know the clusters."""

    def __init__(self, folder: Path) -> None:
        database, self.port = folder / "database.socket", free_ports(1)[0]
        super().__init__(folder, {"MYSQL_UNIX_PORT": str(database), "SLURM_CONF": str(folder / "slurm.conf")})
        files = ["--no-defaults", "--user=root", f"--datadir={folder / 'database'}"]
        (folder / "database").mkdir()
        tables = f"CREATE DATABASE mysql;\nUSE mysql;\n{_SYSTEM_TABLES.read_text()}"
        bootstrap = [self._program("mariadbd"), *files, "--bootstrap"]
        subprocess.run(bootstrap, input=tables, check=True, capture_output=True, text=True)
        settings = folder / "slurmdbd.conf"
        settings.write_text(_DATABASE.format(folder=folder, host=socket.gethostname(), port=self.port))
        settings.chmod(0o600)
        try:
            self.start_munge()
            self.start(
                "mariadbd", ["mariadbd", *files, f"--socket={database}", "--skip-networking", "--skip-grant-tables"]
            )
            self.wait_for("mariadbd", database.exists)
            self.start("slurmdbd", ["slurmdbd", "-D"])
            self.wait_for("slurmdbd", self._answers)
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


class ClusterWithAccounts(SlurmCluster):
    """A cluster of these accounts, by its name; its jobs are numbered from `first_job` on."""

    def __init__(self, folder: Path, accounts: Accounts, name: str, first_job: int, nodes: int = 1) -> None:
        self._shared, self.name, self._first_job = accounts, name, first_job
        super().__init__(folder, nodes, system=None)

    def _accounts(self) -> dict[str, str]:
        of_cluster = _OF_A_CLUSTER.format(folder=self._shared.folder, port=self._shared.port, first_job=self._first_job)
        munge = str(self._shared.folder / "munge.socket")
        return {"name": self.name, "munge": munge, "accounting": of_cluster}

    def _prepare_controller(self) -> None:
        """Let the accounts know the cluster: it may begin then."""
        self.run("sacctmgr", "--immediate", "add", "cluster", self.name)
