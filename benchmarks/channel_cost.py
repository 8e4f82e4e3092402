"""What the channel to a cluster's workers costs the campaign, and how soon a stop is there, with simulated workers.

They are sockets of one other process, each connected as a worker's is, and each says once a second what it runs: ten
times as often as workers do, and as often as their models might report something.

    python benchmarks/channel_cost.py [WORKERS]
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing.connection import Connection

import zmq

from candle_hpo.core.stopping import StopHow
from candle_hpo.engine.channel import Address, CampaignEnd
from candle_hpo.engine.open_files import allow_connections

SECONDS = 20
LAST_SECONDS = 5  # for the stops to arrive


def simulate(address: Address, workers: int, campaign: Connection) -> None:
    """Be so many workers until the campaign sends something; send when each of them was stopped."""
    allow_connections(workers)
    context, poller = zmq.Context(), zmq.Poller()
    context.max_sockets = 2 * workers
    sockets = []
    for _ in range(workers):
        socket = context.socket(zmq.DEALER)
        socket.linger, socket.curve_serverkey = 0, address.campaign
        socket.curve_publickey, socket.curve_secretkey = address.public, address.secret
        socket.connect(f"tcp://{address.hosts[0]}:{address.port}")
        socket.send_multipart([b"nobody", b""])
        sockets.append(socket)
    for socket in sockets:
        socket.recv_multipart()
        poller.register(socket, zmq.POLLIN)
    campaign.send("all are connected")
    began, said, stopped = time.monotonic(), 0, dict[int, float]()
    while not campaign.poll():
        while said < (time.monotonic() - began) * workers:
            number = said % workers
            sockets[number].send_multipart([b"worker %d" % number, b"%d" % number])
            said += 1
        for socket, _ in poller.poll(5):
            run, _how = socket.recv_multipart()
            stopped.setdefault(int(run), time.monotonic())
    campaign.send(stopped)
    context.destroy(0)


def main() -> None:
    """Print the numbers."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    allow_connections(workers)
    end = CampaignEnd(["127.0.0.1"])
    ours, theirs = multiprocessing.Pipe()
    others = multiprocessing.get_context("spawn").Process(target=simulate, args=(end.address, workers, theirs))
    others.start()
    ours.recv()
    clock, began = time.process_time(), time.monotonic()
    time.sleep(SECONDS)
    share = (time.process_time() - clock) / (time.monotonic() - began)
    print(f"{workers:,} workers with a message a second: {100 * share:.1f} % of a core (load {os.getloadavg()[0]:.0f})")
    asked = {}
    for number in range(workers):
        asked[number] = time.monotonic()
        end.stop(str(number), StopHow.PURPOSE)
    time.sleep(LAST_SECONDS)
    ours.send("that is all")
    seconds = sorted(when - asked[number] for number, when in ours.recv().items())
    print(f"{len(seconds):,} of {workers:,} stops that were asked for at once have arrived")
    print(f"after {statistics.median(seconds):.2f} s (median), {seconds[-1]:.2f} s (the last)")
    others.join()
    end.close()


if __name__ == "__main__":
    main()
