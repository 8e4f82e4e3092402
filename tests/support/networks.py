"""A SLURM cluster each of whose nodes has its own network, on this machine: who contacts whom can be cut, and is seen.

Each node, and the controller, is in a network namespace; a bridge joins them, and nothing joins them to this machine's
network. Each node has a second interface, of the same address on all nodes, by which nobody is reached: it sorts before
the other one. Names are asked for at an address that nobody has: who asks is seen to look for it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.slurm_cluster import SlurmCluster

NETWORK = "10.99.0"
CONTROLLER = f"{NETWORK}.254"
NOBODY = f"{NETWORK}.53"
DECOY = "10.1.0.1"

# Notes, once each, to whom what passes the bridge goes, and whose address is asked for. What a kernel says by itself is
# neither TCP nor UDP.
_WATCH = """
import socket, sys
seen, names = set(), {6: "tcp", 17: "udp"}
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as packets, open(sys.argv[1], "w") as output:
    packets.bind(("bridge", 3))
    print("ready", flush=True)
    while True:
        packet, (_, kind, *_) = packets.recvfrom(65535)
        if kind == 0x0806:
            protocol, to, port = "arp", socket.inet_ntoa(packet[24:28]), 0
        elif kind == 0x0800:
            protocol, to, ports = names.get(packet[9]), socket.inet_ntoa(packet[16:20]), (packet[0] & 15) * 4
        elif kind == 0x86DD:
            protocol, to, ports = names.get(packet[6]), socket.inet_ntop(socket.AF_INET6, packet[24:40]), 40
        if protocol in ("tcp", "udp"):
            port = int.from_bytes(packet[ports + 2 : ports + 4], "big")
        if protocol and (protocol, to, port) not in seen:
            seen.add((protocol, to, port))
            print(protocol, to, port, file=output, flush=True)
"""


def why_no_networks() -> str:
    """Return what this machine lacks for networks of nodes, nothing where they can be made."""
    missing = [program for program in ("ip", "nsenter", "unshare") if shutil.which(program) is None]
    if missing:
        return f"network namespaces need {', '.join(missing)} (Debian: apt-get install iproute2)"
    done = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True)
    return f"network namespaces cannot be made here: {done.stderr.strip()}" if done.returncode != 0 else ""


class NetworkedCluster(SlurmCluster):
    """The cluster, with `n1` at 10.99.0.1, `n2` at 10.99.0.2, …; the controller, and who submits, at 10.99.0.254."""

    def at(self, place: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one on a node, or where the controller is."""
        if place == "munged":
            return list(command)
        process = self._daemons[f"network of {place}"].pid
        return ["nsenter", f"--target={process}", "--net", "--mount", f"--wdns={Path.cwd()}", *command]

    def contacts(self) -> set[tuple[str, str, int]]:
        """Return what has passed between the nodes, or tried to: protocol, to which address, to which port."""
        lines = [line.split() for line in (self.folder / "contacts").read_text().splitlines()]
        return {(protocol, address, int(port)) for protocol, address, port in lines}

    def cut(self, node: str, ports: str) -> None:
        """Let nothing that a node sends to these ports (`first-last`) arrive, and let nobody know that."""
        self._do(node, f"ip rule add ipproto tcp dport {ports} lookup 7; ip route add default via {CONTROLLER} table 7")

    def restore(self, node: str, ports: str) -> None:
        """Let it arrive again."""
        self._do(node, f"ip rule del ipproto tcp dport {ports} lookup 7")

    def _prepare_places(self) -> None:
        (self.folder / "resolv.conf").write_text(f"nameserver {NOBODY}\n")
        self._make_place("slurmctld")
        self._do(
            "slurmctld",
            f"ip link add bridge type bridge; ip address add {CONTROLLER}/24 dev bridge; ip link set bridge up",
        )
        for number in range(1, self.nodes + 1):
            node = f"n{number}"
            self._make_place(node)
            place = self._daemons[f"network of {node}"].pid
            self._do("slurmctld", f"ip link add {node} type veth peer name eth0 netns {place}")
            self._do("slurmctld", f"ip link set {node} master bridge up")
            self._do(
                node,
                f"ip link add ib0 type bridge; ip address add {DECOY}/24 dev ib0; ip link set ib0 up; "
                f"ip address add {NETWORK}.{number}/24 dev eth0; ip link set eth0 up; "
                f"ip route add default via {CONTROLLER}",
            )
        self._start_watching()

    def _make_place(self, place: str) -> None:
        """Start a process that has its own network and mounts, for others to join."""
        prepare = f"mount --bind '{self.folder}/resolv.conf' /etc/resolv.conf; ip link set lo up; echo ready"
        self._start_and_wait(
            f"network of {place}", ["unshare", "--net", "--mount", "sh", "-euc", f"{prepare}; exec sleep infinity"]
        )

    def _start_watching(self) -> None:
        command = [sys.executable, "-c", _WATCH, str(self.folder / "contacts")]
        self._start_and_wait("watch", self.at("slurmctld", command))

    def _start_and_wait(self, name: str, command: list[str]) -> None:
        """Start a program that says when it is ready."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        self._daemons[name] = process
        assert process.stdout is not None
        with process.stdout as output:
            assert output.readline() == b"ready\n"

    def _do(self, place: str, commands: str) -> None:
        subprocess.run(self.at(place, ["sh", "-euc", commands]), check=True)

    def _write_configuration(self) -> None:
        super()._write_configuration()
        path = self.folder / "slurm.conf"
        text = path.read_text().replace("(127.0.0.1)", f"({CONTROLLER})")
        path.write_text(text.replace("NodeAddr=127.0.0.1", f"NodeAddr={NETWORK}.[1-{self.nodes}]"))
