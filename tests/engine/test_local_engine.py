"""Workers and devices of this machine, and the pool that runs trials on them."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.engine.devices import parse_visible, visible_gpus
from candle_hpo.engine.local import LocalPool
from candle_hpo.engine.workers import Worker, share_out


def settings(**values: object) -> Settings:
    return Settings(model_script="/m.py", workflow="grid", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("0,1", ["0", "1"]),
        ("", []),
        (" 3 ", ["3"]),
        ("NoDevFiles", []),
        ("0,0", ["0"]),
        ("0,-1,1", ["0"]),
        ("GPU-8a,MIG-1", ["GPU-8a", "MIG-1"]),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(text: str, devices: list[str]) -> None:
    assert parse_visible(text) == devices


def test_what_a_batch_system_gave_counts_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert visible_gpus() == ["2", "3"]


@pytest.mark.parametrize(("script", "found"), [("echo 0; echo 1", ["0", "1"]), ("echo broken; exit 9", [])])
def test_else_nvidia_smi_is_asked(here: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: list[str]) -> None:
    fake = here / "nvidia-smi"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")
    assert visible_gpus() == found


def test_a_machine_without_gpus_has_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(here))
    assert visible_gpus() == []


def test_each_worker_has_its_own_gpu() -> None:
    force = share_out(settings(nworkers=2, worker_type="k80"), ["4", "5", "6"], 100)
    assert [worker.environment for worker in force.workers] == [
        {"CUDA_VISIBLE_DEVICES": "4"},
        {"CUDA_VISIBLE_DEVICES": "5"},
    ]
    assert force.notes == ()


def test_more_workers_than_gpus_is_a_note_and_no_sharing() -> None:
    force = share_out(settings(nworkers=4), ["0"], 100)
    assert [worker.environment for worker in force.workers] == [{"CUDA_VISIBLE_DEVICES": "0"}]
    (note,) = force.notes
    assert note.startswith("4 workers were asked for, and there is 1 GPU: 1 trial runs at a time")


@pytest.mark.parametrize(
    ("shares", "wanted", "gpus", "visible", "note"),
    [
        (
            {"trials_per_gpu": 3},
            6,
            "01",
            ["0", "1", "0", "1", "0", "1"],
            "6 at a time, and there are 2 GPUs, with 3 on",
        ),
        ({"trials_per_gpu": 3}, 2, "01", ["0", "1"], "with 3 on each GPU"),
        ({"trials_per_gpu": 2}, 5, "0", ["0", "0"], "5 workers were asked for, and there is 1 GPU: 2 trials run at a"),
        ({"gpus_per_trial": 2}, 2, "0123", ["0,1", "2,3"], "with 2 GPUs each"),
        ({"gpus_per_trial": 2}, 3, "01234", ["0,1", "2,3"], "2 trials run at a time, with 2 GPUs each"),
        ({"gpus_per_trial": 4}, 3, "01", ["0,1"], "gpus_per_trial=4, and there are 2 GPUs: one trial runs at a time"),
    ],
)
def test_a_gpu_for_several_trials_and_several_gpus_for_one(
    shares: dict[str, int], wanted: int, gpus: str, visible: list[str], note: str
) -> None:
    force = share_out(settings(nworkers=wanted, **shares), list(gpus), 100)
    assert [worker.environment["CUDA_VISIBLE_DEVICES"] for worker in force.workers] == visible
    assert [worker.number for worker in force.workers] == list(range(len(visible)))
    assert note in force.notes[0]


def test_gpus_where_there_are_none_is_a_note() -> None:
    force = share_out(settings(nworkers=2, worker_type="k80"), [], 100)
    assert [worker.environment for worker in force.workers] == [{}, {}]
    assert force.notes == ("no GPU here (k80 was asked for): trials run on the CPUs",)


def test_workers_of_type_cpu_see_no_gpu() -> None:
    force = share_out(settings(nworkers=2, worker_type="cpu"), ["0"], 100)
    assert [worker.environment for worker in force.workers] == [{"CUDA_VISIBLE_DEVICES": ""}] * 2
    assert force.notes == ()


def test_no_two_calls_have_the_same_worker_at_a_time() -> None:
    workers = [Worker(number, {}) for number in range(3)]
    lock, busy, used = threading.Lock(), set[int](), set[int]()

    with LocalPool(workers) as pool:

        def work() -> None:
            worker = pool.worker()
            with lock:
                assert worker.number not in busy
                busy.add(worker.number)
                used.add(worker.number)
            threading.Event().wait(0.005)
            with lock:
                busy.remove(worker.number)

        for future in [pool.submit(work) for _ in range(60)]:
            future.result()
    assert used == {0, 1, 2}


def test_no_more_workers_than_trials() -> None:
    assert len(share_out(settings(nworkers=999_999_999), [], 3).workers) == 3
