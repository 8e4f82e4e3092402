"""The channel between a campaign and its workers; the workers themselves are in test_engine_contract.py."""

from __future__ import annotations

import dataclasses
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from candle_hpo.core.errors import MachineError
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Report
from candle_hpo.engine import channel
from candle_hpo.engine.channel import Address, CampaignEnd, WorkerEnd

HANG_SECONDS = 60
NOBODY = "192.0.2.1"  # an address for documentation alone (RFC 5737)


@pytest.fixture
def campaign() -> Iterator[CampaignEnd]:
    end = CampaignEnd([NOBODY, "127.0.0.1", "::1"])
    yield end
    end.close()


def test_what_runs_is_stopped_by_whichever_address_reaches_the_campaign(campaign: CampaignEnd) -> None:
    worker, heard = WorkerEnd(campaign.address, "n1:0"), queue.SimpleQueue[StopHow]()
    with worker.running("a/1", heard.put):
        campaign.stop("a/1", StopHow.PURPOSE)
        assert heard.get(timeout=HANG_SECONDS) is StopHow.PURPOSE


def test_its_port_is_one_of_those_that_nodes_are_to_reach(
    campaign: CampaignEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = channel.PORTS
    assert first <= campaign.address.port < last
    monkeypatch.setattr(channel, "PORTS", (campaign.address.port, campaign.address.port + 1))
    with pytest.raises(MachineError, match=r"no port from \d+ to \d+ is free on this node: Could not bind"):
        CampaignEnd([NOBODY, "127.0.0.1"])


def test_one_of_several_workers_is_stopped(campaign: CampaignEnd) -> None:
    first, second = (WorkerEnd(campaign.address, f"n{number}:0") for number in (1, 2))
    heard = queue.SimpleQueue[str]()
    with first.running("a/1", lambda _: heard.put("a")), second.running("b/1", lambda _: heard.put("b")):
        campaign.stop("b/1", StopHow.INTERRUPT)
        assert heard.get(timeout=HANG_SECONDS) == "b"
        campaign.stop("a/1", StopHow.INTERRUPT)
        while (last := heard.get(timeout=HANG_SECONDS)) == "b":
            pass
        assert last == "a"


def test_a_stop_that_is_there_before_its_attempt_waits_for_it_and_hits_no_other(campaign: CampaignEnd) -> None:
    worker, heard = WorkerEnd(campaign.address, "n1:0"), queue.SimpleQueue[str]()
    campaign.stop("b/1", StopHow.PURPOSE)
    with worker.running("a/1", lambda _: heard.put("a")):
        campaign.stop("a/1", StopHow.PURPOSE)
        assert heard.get(timeout=HANG_SECONDS) == "a"
    with worker.running("b/1", lambda _: heard.put("b")):
        worker.say()
        while (last := heard.get(timeout=HANG_SECONDS)) == "a":
            pass
        assert last == "b"


def test_of_what_ends_in_a_moment_nothing_is_said(campaign: CampaignEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, said = WorkerEnd(campaign.address, "n1:0"), list[str]()
    heard, wake = queue.SimpleQueue[str](), worker._wake
    with worker.running("a/1", lambda _: heard.put("a")):
        campaign.stop("a/1", StopHow.PURPOSE)
        assert heard.get(timeout=HANG_SECONDS) == "a"

    def counted() -> None:
        said.append(worker._run.decode())
        wake()

    monkeypatch.setattr(worker, "_wake", counted)
    for number in range(100):
        with worker.running(f"b/{number}", lambda _: heard.put("b")):
            pass
    assert not said
    campaign.stop("c/1", StopHow.PURPOSE)
    with worker.running("c/1", lambda _: heard.put("c")):
        worker.say()
        assert heard.get(timeout=HANG_SECONDS) == "c"
    assert said == ["c/1"]


def test_a_stop_that_comes_after_the_end_does_not_stop_the_next_attempt(campaign: CampaignEnd) -> None:
    worker, heard = WorkerEnd(campaign.address, "n1:0"), queue.SimpleQueue[str]()
    with worker.running("a/1", lambda _: heard.put("a")):
        campaign.stop("a/1", StopHow.PURPOSE)
        assert heard.get(timeout=HANG_SECONDS) == "a"
    campaign.stop("a/1", StopHow.PURPOSE)
    with worker.running("a/2", lambda how: heard.put(f"a again, {how.value}")):
        worker.say()
        campaign.stop("a/1", StopHow.PURPOSE)
        campaign.stop("a/2", StopHow.INTERRUPT)
        assert heard.get(timeout=HANG_SECONDS) == "a again, interrupt"


def test_reports_arrive_in_their_order_each_once_and_with_what_they_are_of(
    campaign: CampaignEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "SAY_AGAIN_SECONDS", 0.05)
    heard = queue.SimpleQueue[tuple[str, Report]]()
    campaign.report_to(lambda run, report: heard.put((run, report)))
    first, second = (WorkerEnd(campaign.address, f"n{number}:0") for number in (1, 2))
    reports = [Report(step, {"loss": 0.5, "note": "none", "nothing": None, "count": 3}) for step in (1, 2, 2.5)]
    with first.running("a/1", lambda _: None), second.running("b/1", lambda _: None):
        for each in reports:
            first.report(each)
        assert [heard.get(timeout=HANG_SECONDS) for _ in reports] == [("a/1", each) for each in reports]
        threading.Event().wait(0.5)  # it is said again meanwhile
        second.report(reports[0])
        assert heard.get(timeout=HANG_SECONDS) == ("b/1", reports[0])
    with first.running("c/1", lambda _: None):
        first.report(reports[0])
        assert heard.get(timeout=HANG_SECONDS) == ("c/1", reports[0])


def test_the_last_report_comes_through_a_channel_that_was_lost(
    campaign: CampaignEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "SAY_AGAIN_SECONDS", 0.1)
    heard = queue.SimpleQueue[float]()
    campaign.report_to(lambda _, report: heard.put(report.step))
    relay = Relay(campaign.address.port)
    through_it = dataclasses.replace(campaign.address, hosts=("127.0.0.1",), port=relay.port)
    with WorkerEnd(through_it, "n1:0").running("a/1", lambda _: None) as worker:
        worker.report(Report(1, {}))
        assert heard.get(timeout=HANG_SECONDS) == 1
        relay.cut()
        for step in range(2, 2002):  # far more than may wait: these are dropped, and nobody waits for them
            worker.report(Report(step, {}))
        relay.repair()
        while (last := heard.get(timeout=HANG_SECONDS)) < 2001:
            pass
        assert last == 2001
    relay.cut()


def test_a_message_in_another_form_is_not_heeded(campaign: CampaignEnd) -> None:
    heard = queue.SimpleQueue[Report]()
    campaign.report_to(lambda _, report: heard.put(report))
    address = campaign.address
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger, dealer.curve_serverkey = 0, address.campaign
        dealer.curve_publickey, dealer.curve_secretkey = address.public, address.secret
        dealer.connect(f"tcp://127.0.0.1:{address.port}")
        dealer.send_multipart([b"n1:0", b"a/1", b"no MessagePack"])
        campaign.stop("a/1", StopHow.PURPOSE)
        assert dealer.poll(HANG_SECONDS * 1000)
    with WorkerEnd(address, "n2:0").running("b/1", lambda _: None) as worker:
        worker.report(Report(1, {}))
        assert heard.get(timeout=HANG_SECONDS) == Report(1, {})


class Relay:
    """Passes bytes on to a port of this machine, until it is cut; listens again on its own port when repaired."""

    def __init__(self, target: int) -> None:
        self._target, self.port = target, 0
        self._open: list[socket.socket] = []
        self.repair()

    def repair(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                ends = listener.accept()[0], socket.create_connection(("127.0.0.1", self._target))
                self._open += ends
                for source, sink in (ends, ends[::-1]):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)


def test_a_channel_that_is_lost_comes_back_and_nothing_that_was_asked_is_forgotten(
    campaign: CampaignEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "SAY_AGAIN_SECONDS", 0.1)
    relay = Relay(campaign.address.port)
    through_it = dataclasses.replace(campaign.address, hosts=("127.0.0.1",), port=relay.port)
    worker, heard = WorkerEnd(through_it, "n1:0"), queue.SimpleQueue[str]()
    with worker.running("a/1", lambda _: heard.put("a")):
        campaign.stop("a/1", StopHow.PURPOSE)
        assert heard.get(timeout=HANG_SECONDS) == "a"
        relay.cut()
    with worker.running("b/1", lambda _: heard.put("b")):
        campaign.stop("b/1", StopHow.PURPOSE)
        relay.repair()
        while (last := heard.get(timeout=HANG_SECONDS)) == "a":
            pass
        assert last == "b"
    relay.cut()


def handshake(address: Address, campaign: bytes, keys: tuple[bytes, bytes]) -> int:
    """Connect with these keys; return what came of it, as one of ZeroMQ's events."""
    outcomes = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger, dealer.curve_serverkey = 0, campaign
        dealer.curve_publickey, dealer.curve_secretkey = keys
        with dealer.get_monitor_socket(outcomes | zmq.EVENT_DISCONNECTED) as monitor:
            dealer.connect(f"tcp://127.0.0.1:{address.port}")
            assert monitor.poll(HANG_SECONDS * 1000)
            found = int(recv_monitor_message(monitor)["event"])
            dealer.disable_monitor()
    return found


def test_nobody_is_let_in_without_the_keys_of_both_ends(campaign: CampaignEnd) -> None:
    address, keys = campaign.address, (campaign.address.public, campaign.address.secret)
    assert handshake(address, address.campaign, keys) == zmq.EVENT_HANDSHAKE_SUCCEEDED
    assert handshake(address, address.campaign, zmq.curve_keypair()) != zmq.EVENT_HANDSHAKE_SUCCEEDED
    assert handshake(address, zmq.curve_keypair()[0], keys) != zmq.EVENT_HANDSHAKE_SUCCEEDED


def test_no_key_is_shown(campaign: CampaignEnd) -> None:
    address = campaign.address
    assert address.hosts == (NOBODY, "127.0.0.1", "::1")
    for key in (address.campaign, address.public, address.secret):
        assert key.decode() not in repr(address)
