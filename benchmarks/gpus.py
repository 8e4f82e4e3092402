"""What is true on a real GPU: who sees which, what a trial's start costs with CUDA, and that nothing is left on it.

Each promise is tried with scripts that use PyTorch (and JAX and CuPy, where they are installed); one that does not hold
ends the program. Then the same small trainings run one, two, four and eight at a time on the GPU.

    python benchmarks/gpus.py     prints what it saw; needs one GPU of NVIDIA's, and PyTorch
"""

from __future__ import annotations

import importlib.util
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import candle_hpo
from candle_hpo import LoadedExperiment
from candle_hpo.launch.hosts.warm_end import Inherited
from candle_hpo.launch.preload import known_libraries

SHARES = (1, 2, 4, 8)
TRIALS = 8

SEEN = """
import torch
val_to_return = torch.cuda.device_count()
"""
SMALL = """
import torch
torch.manual_seed(hyperparams["x"])
val_to_return = float(torch.rand(8, device="cuda").sum())
"""
LIBRARIES = """
import torch
val_to_return = float(torch.ones(1, device="cuda").sum())
with open("/proc/self/maps") as maps, open("libraries.txt", "w") as found:
    found.write("".join(line[line.find("/"):] for line in maps if " r-xp " in line and ".so" in line))
"""
TRAINING = """
import time
import torch
from torch import nn
began = time.time()
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)).cuda()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
inputs = torch.randn(4096, 64, device="cuda")
targets = inputs.sin().sum(1, keepdim=True)
for step in range(4000):
    rows = torch.randint(0, 4096, (128,), device="cuda")
    loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
val_to_return = {"val_to_return": loss.item(), "began": began, "ended": time.time()}
"""
BUSY = """
import torch
x = torch.ones(2**28, device="cuda")
while True:
    x.mul_(1.0)
    torch.cuda.synchronize()
"""
REPORTED = "epoch (?P<epoch>[0-9]+): loss (?P<loss>[^ ]+)"
REPORTING = """
import signal, sys
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1)).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=10.0 ** (hyperparams["x"] * 7 % 12 / 2 - 7))
inputs = torch.randn(8192, 64, device="cuda")
targets = inputs.sin().sum(1, keepdim=True)
def save(*_):
    torch.save(model.state_dict(), "checkpoint.pt")
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
for epoch in range(1, 28):
    for rows in torch.randperm(8192, device="cuda").split(16):
        loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(f"epoch {epoch}: loss {nn.functional.mse_loss(model(inputs), targets).item():.6f}", flush=True)
"""
FAULTS = """
import torch
if hyperparams["x"] == 1:
    torch.empty(2**44, dtype=torch.uint8, device="cuda")
if hyperparams["x"] == 2:
    torch.zeros(4, device="cuda")[torch.tensor([9], device="cuda")].item()
val_to_return = torch.ones(3, device="cuda").sum().item()
"""
# What uses the GPU when it is imported: a helper of the user's own, which PyTorch then cannot use after a fork.
HELPERS = {
    "asks whether there is a GPU": "import torch\nAVAILABLE = torch.cuda.is_available()\n",
    "asks for its name": "import torch\nNAME = torch.cuda.get_device_name()\n",
    "puts a tensor there": "import torch\nTABLE = torch.arange(10, device='cuda')\n",
}
OTHERS = {
    "jax": "import jax\nassert jax.default_backend() == 'gpu'\nval_to_return = float(jax.numpy.ones(3).sum())\n",
    "cupy": "import cupy\nval_to_return = float(cupy.ones(3).sum())\n",
    "lightning": "import lightning\nimport torch\nval_to_return = torch.ones(3).cuda().sum().item()\n",
    "transformers": "import transformers\nimport torch\nval_to_return = torch.ones(3).cuda().sum().item()\n",
}


def run(
    script: str, sets: int, *, expect: int = 0, modules: dict[str, str] | None = None, **keywords: object
) -> LoadedExperiment:
    """Run a script with x from 1 to `sets`, in its own folder; return what came of it."""
    with _started(script, sets, modules or {}, keywords) as (process, here):
        out, _ = process.communicate(timeout=200)
        if process.returncode != expect:
            raise AssertionError(f"exit status {process.returncode}: {out}")
        return candle_hpo.load(here / "last-candle-job")


@contextmanager
def _started(
    script: str, sets: int, modules: dict[str, str], keywords: dict[str, object]
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "model.py").write_text(script)
        for name, text in modules.items():
            (here / f"{name}.py").write_text(text)
        control = "".join(f"  {name}={value!r}\n" for name, value in keywords.items())
        values = "\n".join(f'{{"x": {x}}}' for x in range(1, sets + 1))
        start = f'&control\n  model_script="{here}/model.py"\n  workflow="grid"\n  engine="local"\n{control}/\n'
        (here / "x.in").write_text(f"{start}&param_space\n{values}\n/\n")
        yield (
            subprocess.Popen(
                [sys.executable, "-m", "candle_hpo", "submit-job", "x.in"],
                cwd=here,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ),
            here,
        )


def asked(what: str) -> list[str]:
    """Return what nvidia-smi answers, line by line."""
    command = ["nvidia-smi", f"--query-{what}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


def used() -> int:
    """Return how many megabytes of the GPU's memory are in use."""
    return int(asked("gpu=memory.used")[0])


def nothing_is_left(before: int) -> None:
    """Wait until the GPU's memory is what it was; a driver takes a moment for it."""
    for _ in range(50):
        if used() <= before + 8:
            return
        time.sleep(0.1)
    raise AssertionError(f"{used()} MB in use, {before} before: {asked('compute-apps=pid,used_memory')}")


def each_trial_sees_its_gpu() -> str:
    """Ask for four workers where there is one GPU: one trial runs at a time, and sees one device."""
    trials = run(SEEN, 4, nworkers=4).trials
    assert [trial.value for trial in trials] == [1, 1, 1, 1], trials
    hidden = run(SEEN, 2, nworkers=2, worker_type="cpu").trials
    assert [trial.value for trial in hidden] == [0, 0], hidden
    return 'a trial sees one device, and none with `worker_type="cpu"`'


def values_are_those_of_a_fresh_interpreter() -> str:
    """Compare random numbers of the GPU with those of a script that is started by hand."""
    values = [trial.value for trial in run(SMALL, 3).trials]
    cold = [
        float(
            subprocess.run(
                [sys.executable, "-c", f"hyperparams={{'x': {x}}}\n{SMALL}print(val_to_return)"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for x in (1, 2, 3)
    ]
    assert values == cold, (values, cold)
    return "seeded numbers drawn on the GPU are those of a script started by hand"


def helpers_may_use_the_gpu() -> str:
    """Import modules of the user's that use the GPU when they are imported."""
    for what, helper in HELPERS.items():
        trials = run(f"import helper\n{SMALL}", 3, modules={"helper": helper}, preload="helper").trials
        assert [trial.status for trial in trials] == ["completed"] * 3, (what, trials)
    return f"modules that use the GPU when they are imported ({'; '.join(HELPERS)}), all trials completed"


def other_libraries_work() -> str:
    """Use JAX, CuPy and what lies on PyTorch, imported beforehand, on the GPU."""
    there = {name: script for name, script in OTHERS.items() if importlib.util.find_spec(name)}
    for name, script in there.items():
        trials = run(script, 3).trials
        assert [trial.value for trial in trials] == [3, 3, 3], (name, trials)
    return f"{', '.join(there) or 'no other library'}: all values right"


def faults_stay_with_their_trial() -> str:
    """Let a trial want more memory than there is, and one fail within a kernel; the others continue."""
    trials = run(FAULTS, 4, expect=1).trials
    assert [trial.status for trial in trials] == ["out_of_memory", "failed", "completed", "completed"], trials
    assert "device-side assert" in trials[1].reason, trials[1].reason
    return "the others complete after a trial that wants too much memory, and after one that fails within a kernel"


def a_trial_that_is_ended_leaves_nothing() -> str:
    """Let a loop on the GPU, which never ends, be ended by its time-out."""
    before = used()
    trials = run(BUSY, 1, expect=1, trial_timeout="00:00:08").trials
    assert [trial.status for trial in trials] == ["timed_out"], trials
    nothing_is_left(before)
    return "the memory of an endless loop, ended by `trial_timeout`, is free again"


def an_interrupted_campaign_leaves_nothing() -> str:
    """Press Ctrl-C while two trials share the GPU."""
    before = used()
    with _started(BUSY, 4, {}, {"nworkers": 2, "trials_per_gpu": 2}) as (process, _):
        while used() < before + 2 * 1024:
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    nothing_is_left(before)
    return "two trials that share the GPU are gone from it after Ctrl-C"


def bad_trials_are_stopped_early() -> str:
    """Train with learning rates from far too small to good, four at a time, with and without early stopping."""
    before = used()
    shared: dict[str, object] = {"nworkers": 4, "trials_per_gpu": 4, "result_pattern": REPORTED}
    shared |= {"min_steps": 1, "max_steps": 27}
    took, best, stopped = {}, {}, {}
    for stopping in ("none", "asha"):
        began = time.perf_counter()
        with _started(REPORTING, 12, {}, {**shared, "stopping": stopping}) as (process, here):
            out, _ = process.communicate(timeout=200)
            took[stopping] = time.perf_counter() - began
            assert process.returncode == 0, out
            experiment = candle_hpo.load(here / "last-candle-job")
            stopped[stopping] = [trial for trial in experiment.trials if trial.status == "stopped"]
            best[stopping] = experiment.best and experiment.best.value
            unsaved = [trial for trial in stopped[stopping] if not (trial.folder / "checkpoint.pt").exists()]
            assert not unsaved, unsaved
    assert stopped["asha"], "no trial was stopped"
    assert not stopped["none"], stopped
    nothing_is_left(before)
    return (
        f"of 12 trainings asha stopped {len(stopped['asha'])}, which had all saved their checkpoints; the best loss "
        f"is {best['asha']} after {took['asha']:.0f} s, and {best['none']} after {took['none']:.0f} s without"
    )


CHECKS: tuple[Callable[[], str], ...] = (
    each_trial_sees_its_gpu,
    values_are_those_of_a_fresh_interpreter,
    helpers_may_use_the_gpu,
    other_libraries_work,
    faults_stay_with_their_trial,
    a_trial_that_is_ended_leaves_nothing,
    an_interrupted_campaign_leaves_nothing,
    bad_trials_are_stopped_early,
)


def starts() -> tuple[float, float]:
    """Return the seconds of a trial with a single operation on the GPU: fresh interpreters, and candle's median."""
    fresh = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"hyperparams={{'x': 1}}\n{SMALL}"], check=True)
        fresh.append(time.perf_counter() - began)
    warm = [trial.seconds for trial in run(SMALL, 12).trials[2:]]
    return statistics.median(fresh), statistics.median(warm)


def not_known_at_the_end() -> list[str]:
    """Return the shared libraries because of which a trial's process ends the usual way, which takes longer."""
    known = known_libraries()
    inherited = Inherited(known.harmless, list(known.without_end))
    with _started(LIBRARIES, 1, {}, {}) as (process, here):
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0, out
        found = (candle_hpo.load(here / "last-candle-job").trials[0].folder / "libraries.txt").read_text().split("\n")
    return sorted(path for path in {*found} - {""} if not inherited.are_harmless({path}))


def trainings() -> dict[int, float]:
    """Return the seconds that the trainings take with so many at a time on the GPU, imports left out."""
    took: dict[int, float] = {}
    for share in SHARES:
        trials = run(TRAINING, TRIALS, nworkers=share, trials_per_gpu=share).trials
        assert all(trial.status == "completed" for trial in trials), trials
        times = [trial.metrics for trial in trials]
        took[share] = max(float(each["ended"] or 0) for each in times) - min(
            float(each["began"] or 0) for each in times
        )
    return took


def main() -> None:
    """Try it all, and print what was seen."""
    print(f"{asked('gpu=name')[0]}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    for check in CHECKS:
        print(f"- {check()}", flush=True)
    fresh, warm = starts()
    print(
        f"- a trial with one operation on the GPU: {warm:.2f} s, and {fresh:.2f} s in a fresh interpreter", flush=True
    )
    print(f"- ends the usual way because of: {', '.join(not_known_at_the_end()) or 'nothing'}", flush=True)
    for share, seconds in trainings().items():
        print(f"- {TRIALS} small trainings, {share} at a time on the GPU: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
