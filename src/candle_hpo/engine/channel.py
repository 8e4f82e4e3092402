"""The channel on which a campaign reaches its workers on other nodes while they run something.

A worker says what it runs once that lasts, and every few seconds; the campaign answers where that is to be stopped. So
whatever is lost is said again, a worker that is not reached runs on, and one that runs something else by then
heeds nothing. ZeroMQ connects again by itself, encrypts, and knows both ends by their keys (CURVE, https://curvezmq.org).

What a worker sends is its name and what it runs, or that it only looks for the campaign, which answers that, too; an
answer is what is meant, and how that is to be stopped. With what it runs comes what that has reported since then, or
last of all, as MessagePack: a report may be lost, too, and the last one comes through.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import msgspec
import zmq
from zmq.auth.thread import ThreadAuthenticator

from candle_hpo.core.errors import MachineError
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Report

PORTS = (54_000, 55_000)  # where nodes reach the campaign: all of its ports, so that no firewall lets one in alone
SAY_AGAIN_SECONDS = 10.0
_LONGEST_RECONNECT = 10_000  # milliseconds between two tries
_HEARTBEAT = 10_000  # milliseconds, after which a connection that is silently gone is noticed
_MOST_AT_ONCE = 1000  # workers that call at the same moment, as all of a job do
_MOST_WAITING = 10  # messages of a worker that is not connected; later ones are lost, as all may be
_GATHER_SECONDS = 0.02  # after a message, in which others may come: to wake for each costs more than to read it
_MOST_REPORTS = 100  # that wait to be sent; earlier ones are lost

_REPORTS = msgspec.msgpack.Decoder(list[Report])

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a campaign can be reached, by one of these hosts at least, and with which keys.

    To be sent to workers on an encrypted way, and never written anywhere: whoever knows it is a worker.
    """

    hosts: tuple[str, ...]
    port: int
    campaign: bytes = field(repr=False)
    public: bytes = field(repr=False)
    secret: bytes = field(repr=False)


class CampaignEnd:
    """The campaign's end of the channel; its methods are for one thread alone."""

    def __init__(self, hosts: Iterable[str]) -> None:
        """Listen on these addresses of this machine: on that of the loopback alone, where there is no other.

        Raises `MachineError` where there is no free port.
        """
        hosts = tuple(hosts)
        campaign, secret = zmq.curve_keypair()
        public, workers_secret = zmq.curve_keypair()
        self._context = zmq.Context()
        self._authenticator = ThreadAuthenticator(self._context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(credentials_provider=_OneKey(public))
        self._workers = self._context.socket(zmq.ROUTER)
        self._workers.linger, self._workers.ipv6 = 0, True
        self._workers.backlog = _MOST_AT_ONCE
        self._workers.curve_server, self._workers.curve_secretkey = True, secret
        try:
            port = self._workers.bind_to_random_port(
                "tcp://127.0.0.1" if hosts == ("127.0.0.1",) else "tcp://*", *PORTS, max_tries=PORTS[1] - PORTS[0]
            )
        except (zmq.ZMQError, zmq.ZMQBindError) as error:
            self._workers.close()
            self._authenticator.stop()
            self._context.term()
            raise MachineError(f"no port from {PORTS[0]} to {PORTS[1]} is free on this node: {error}") from None
        self.address = Address(hosts, port, campaign, public, workers_secret)
        self._report: Callable[[str, Report], None] = _ignore
        self._own, its = _pair(self._context)
        self._thread = _start(self._serve, its)

    def report_to(self, report: Callable[[str, Report], None]) -> None:
        """Have what runs report to this from now on, by a thread that must not wait: what runs, and the report."""
        self._report = report

    def stop(self, run: str, how: StopHow) -> None:
        """Have the worker that runs this stop it, once it does: within a moment, where it can be reached."""
        self._wish(run.encode(), how.value.encode())

    def close(self) -> None:
        """Let all workers be."""
        self._wish(b"", b"")
        self._thread.join()
        self._own.close(0)
        self._authenticator.stop()
        self._context.term()

    def _wish(self, run: bytes, how: bytes) -> None:
        with suppress(zmq.Again):  # the thread has ended, and said why
            self._own.send_multipart([run, how], zmq.NOBLOCK)

    def _serve(self, wishes: zmq.Socket[bytes]) -> None:
        running: dict[bytes, tuple[bytes, bytes]] = {}  # name of a worker -> its connection, and what it runs
        last: dict[bytes, Report] = {}  # name of a worker -> what was reported last of what it runs
        asked: dict[bytes, bytes] = {}  # what is to be stopped -> how
        poller = zmq.Poller()
        poller.register(wishes, zmq.POLLIN)
        poller.register(self._workers, zmq.POLLIN)
        with wishes, self._workers:
            while True:
                ready = dict(poller.poll())
                if wishes in ready:
                    run, how = wishes.recv_multipart()
                    if not run:
                        return
                    asked[run] = how
                    for connection, its_run in running.values():
                        if its_run == run:
                            self._workers.send_multipart([connection, run, how])
                if self._workers in ready:
                    time.sleep(_GATHER_SECONDS)
                while self._workers.poll(0):
                    connection, name, run, *reports = self._workers.recv_multipart()
                    if run:
                        _, before = running.get(name, (b"", run))
                        if before != run:
                            asked.pop(before, None)
                            last.pop(name, None)
                        running[name] = connection, run
                        for report in _reports_in(reports):
                            if name not in last or (report.step >= last[name].step and report != last[name]):
                                last[name] = report
                                self._report(run.decode(), report)
                    if not run or run in asked:
                        self._workers.send_multipart([connection, run, asked.get(run, b"")])


class WorkerEnd:
    """A worker's end of the channel, as long as its process lives: it has a thread; `running` is for one other.

    While something runs, `report` reports to the campaign what that has measured, and `say` says what it is: by any
    thread.
    """

    def __init__(self, address: Address, name: str) -> None:
        """Call the campaign at all of its addresses, and stay with the first one that answers."""
        self._address, self._name = address, name.encode()
        self._context = zmq.Context()
        self._lock = threading.Lock()
        self._run = b""
        self._stop: Callable[[StopHow], None] = _nothing
        self._reports: deque[Report] = deque(maxlen=_MOST_REPORTS)  # that are to be sent
        self._last: Report | None = None
        self._own, its = _pair(self._context)
        self._has_run = False
        _start(self._listen, its)

    @contextmanager
    def running(self, run: str, stop: Callable[[StopHow], None]) -> Iterator[WorkerEnd]:
        """Let the campaign know what runs within; `stop` is called, perhaps repeatedly, when that is to be stopped.

        It is said when `say` is called, when it reports something, and every few seconds: of what ends in a moment,
        nobody need hear. Only of the first one it is said at once, for what there is to do before it can take long.
        """
        with self._lock:
            self._run, self._stop = run.encode(), stop
            if not self._has_run:
                self._wake()
            self._has_run = True
        try:
            yield self
        finally:
            with self._lock:
                self._run, self._stop, self._last = b"", _nothing, None
                self._reports.clear()

    def say(self) -> None:
        """Say what runs."""
        with self._lock:
            self._wake()

    def report(self, report: Report) -> None:
        """Report what the run has measured."""
        with self._lock:
            if not self._reports:
                self._wake()
            self._reports.append(report)
            self._last = report

    def _wake(self) -> None:
        with suppress(zmq.Again):  # the thread has ended, and said why
            self._own.send(b"", zmq.NOBLOCK)

    def _listen(self, wishes: zmq.Socket[bytes]) -> None:
        campaigns = [self._connected(host) for host in self._address.hosts]
        poller = zmq.Poller()
        for socket in (wishes, *campaigns):
            poller.register(socket, zmq.POLLIN)
        due = 0.0
        while True:
            if time.monotonic() >= due:
                due = time.monotonic() + SAY_AGAIN_SECONDS
                for socket in campaigns:
                    self._say_what_runs(socket, is_the_one=len(campaigns) == 1)
            for socket, _ in poller.poll(max(0, math.ceil((due - time.monotonic()) * 1000))):
                if socket is wishes:
                    wishes.recv()
                    due = 0.0
                elif socket in campaigns:
                    self._heed(*socket.recv_multipart())
                    for other in campaigns:
                        if other is not socket:
                            poller.unregister(other)
                            other.close()
                            due = 0.0
                    campaigns = [socket]

    def _connected(self, host: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger, socket.ipv6, socket.sndhwm = 0, True, _MOST_WAITING
        socket.reconnect_ivl_max, socket.heartbeat_ivl = _LONGEST_RECONNECT, _HEARTBEAT
        socket.curve_serverkey = self._address.campaign
        socket.curve_publickey, socket.curve_secretkey = self._address.public, self._address.secret
        socket.connect(f"tcp://[{host}]:{self._address.port}" if ":" in host else f"tcp://{host}:{self._address.port}")
        return socket

    def _say_what_runs(self, campaign: zmq.Socket[bytes], *, is_the_one: bool) -> None:
        """Say it, or else only that somebody is here: the campaign answers on the connection where it last heard it."""
        parts = [self._name, b""]
        if is_the_one:
            with self._lock:
                parts[1] = self._run
                if self._last is not None:
                    parts.append(msgspec.msgpack.encode([*self._reports] or [self._last]))
                self._reports.clear()
        if parts[1] or not is_the_one:
            with suppress(zmq.Again):
                campaign.send_multipart(parts, zmq.NOBLOCK)

    def _heed(self, run: bytes, how: bytes) -> None:
        with self._lock:  # so that it cannot end meanwhile, and something else begin
            if how and run == self._run:
                self._stop(StopHow(how.decode()))


class _OneKey:
    """The only key that is let in."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def callback(self, _domain: str, key: bytes) -> bool:
        return key == self._key


def _nothing(_how: StopHow) -> None:
    """Stop nothing."""


def _ignore(_run: str, _report: Report) -> None:
    """Pass nothing on."""


def _reports_in(parts: Iterable[bytes]) -> list[Report]:
    """Return the reports in what a worker sends; none where that is in no form of this version."""
    try:
        return [report for part in parts for report in _REPORTS.decode(part)]
    except msgspec.MsgspecError as error:
        _logger.warning("reports of a worker cannot be read: %s", error)
        return []


def _pair(context: zmq.Context[zmq.Socket[bytes]]) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """Return two connected sockets: what another thread says wakes up one that waits for other sockets."""
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.sndhwm = end.rcvhwm = 0  # no limit
    name = f"inproc://{id(context)}"
    ends[0].bind(name)
    ends[1].connect(name)
    return ends


def _start(serve: Callable[[zmq.Socket[bytes]], None], wishes: zmq.Socket[bytes]) -> threading.Thread:
    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the thread that waits
        try:
            serve(wishes)
        except Exception:
            _logger.exception("single trials cannot be stopped from now on")

    thread = threading.Thread(target=run, name="channel", daemon=True)
    thread.start()
    return thread
