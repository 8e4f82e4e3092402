"""Warm start: what is imported beforehand and what is not, what the user reads, and how hosts come and go."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from candle_hpo.core.command_words import OF_A_TRIAL
from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.trial import Status
from candle_hpo.launch import warm_host, warm_process
from candle_hpo.launch.command import WARM_HOST
from candle_hpo.launch.preload import Preload, cold_start_note, known_libraries, preload_of
from candle_hpo.process.group import Limits, Program
from conftest import Candle, WriteInput, gone
from support.waiting import unless_it_hangs
from support.warm_trials import Trials

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="warm start is for Linux")]

SHOW_HOST = "\nimport os, sys\nprint(os.getppid())\nval_to_return = 1\n"


@pytest.fixture
def trials(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trials]:
    """An experiment with an installed library `good`, which is known, and counts how often it is imported."""
    trials = Trials(here, "X000", "import good" + SHOW_HOST)
    know(monkeypatch, "good", "odd", "brings")
    install(trials, "good", f"print('x', end='', file=open({str(here / 'imports')!r}, 'a'))\n")
    yield trials
    trials.host.close()


def know(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Put libraries on the list of those that are known to behave the same."""
    known = known_libraries()
    libraries = {**known.libraries, **{name: (name,) for name in names}}
    more = msgspec.structs.replace(known, libraries=libraries)
    monkeypatch.setattr(warm_process, "known_libraries", lambda: more)


def imports(here: Path) -> int:
    return len((here / "imports").read_text()) if (here / "imports").exists() else 0


def install(trials: Trials, name: str, text: str) -> None:
    (trials.installed / f"{name}.py").write_text(textwrap.dedent(text))
    (trials.installed / f"{name}-1.0.dist-info").mkdir(exist_ok=True)


def test_an_installed_module_is_imported_once_for_all_trials(trials: Trials, here: Path) -> None:
    hosts = set()
    for _ in range(5):
        assert trials.run().value_of(THE_VALUE) == 1
        hosts.add(trials.output)
    assert (imports(here), len(hosts), trials.notes) == (1, 1, [])


def test_the_thread_of_jemalloc_may_be_forked(trials: Trials) -> None:
    """pandas brings PyArrow, whose allocator starts a thread at its import, and again in each forked process."""
    script = """
        import pandas
        import pyarrow
        import os
        table = pyarrow.table({"x": [1.0, 2.0, 3.0] * 100_000})
        frames = [table.slice(part * 1000, 1000).to_pandas() for part in range(300)]
        print(os.getppid(), [open(f"/proc/self/task/{each}/comm").read() for each in os.listdir("/proc/self/task")])
        val_to_return = float(pandas.concat(frames).x.sum())
    """
    hosts = set()
    for _ in range(5):
        assert trials.run(textwrap.dedent(script)).value_of(THE_VALUE) == 600_000, trials.output
        hosts.add(trials.output.split()[0])
    assert (len(hosts), trials.notes) == (1, [])


@pytest.mark.parametrize(
    ("script", "count"),
    [
        ("import good", 1),
        ("from good import __name__ as p", 1),
        ('"""Says what it is."""\nfrom __future__ import annotations\nX = 3\nimport good', 1),
        ("import os, json as j\nfrom collections import abc\nimport good", 1),
        ("def f(): pass\nimport good", 3),
        ("try:\n    import no_such\nexcept ImportError:\n    pass\nimport good", 3),
        ("import os\nos.environ['A'] = '1'\nimport good", 3),
        ("import os\nX = os.putenv('A', '1')\nimport good", 3),
        ("import sys\nsys.tracebacklimit = 3\nimport good", 3),
        ("import helper\nimport good", 3),  # which may change what it finds
        ("import stranger\nimport good", 3),
        ("from brings import stranger\nimport good", 3),
        ("import namespace\nimport good", 3),
        ("def f():\n    import good\nf()", 3),
        ("if hyperparams:\n    import good", 3),
    ],
)
def test_what_of_a_script_is_imported_beforehand(trials: Trials, here: Path, script: str, count: int) -> None:
    (here / "helper.py").write_text("")
    (trials.installed / "stranger.py").write_text("import os\nos.environ.get('CANDLE_SEED') or exit(9)\n")
    (trials.installed / "namespace").mkdir()
    install(trials, "brings", "try:\n    import stranger\nexcept BaseException:\n    stranger = None\n")
    for _ in range(3):
        assert trials.run(script + SHOW_HOST, x=1).value_of(THE_VALUE) == 1, trials.output
    assert (imports(here), trials.notes) == (count, [])


@pytest.mark.parametrize(
    ("text", "is_there"),
    [("torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)", 1.0), ("torch.zeros(1)", 0.0)],
)
def test_what_making_an_optimizer_loads_is_imported_beforehand_where_one_is_made(
    here: Path, text: str, is_there: float
) -> None:
    script = f"import torch\nimport sys\nval_to_return = float('torch._dynamo' in sys.modules)\n{text}\n"
    trials = Trials(here, "X000", script)
    assert [trials.run().value_of(THE_VALUE), trials.run().value_of(THE_VALUE)] == [is_there, is_there]
    trials.host.close()


def test_a_library_is_known_where_it_comes_from_its_own_distribution(
    trials: Trials, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of the user's that happens to be called like one is not it."""
    know(monkeypatch, "tqdm", "good")
    (trials.installed / "tqdm.py").write_text("import os\nseed = int(os.environ['CANDLE_SEED'])\n")
    (here / "good.py").write_text("import os\nseed = int(os.environ['CANDLE_SEED'])\n")
    for module in ("tqdm", "good"):
        assert (
            len({trials.run(f"import {module}\nval_to_return = {module}.seed").value_of(THE_VALUE) for _ in range(3)})
            == 3
        )
    assert imports(here) == 0


def test_what_python_itself_loads_at_its_start_must_be_known(here: Path) -> None:
    trials = Trials(here, "X000")
    (trials.installed / "sitecustomize.py").write_text("import os\nseed = os.environ.get('CANDLE_SEED', '-1')\n")
    for _ in range(2):
        value = trials.run("import sitecustomize; val_to_return = int(sitecustomize.seed)").value_of(THE_VALUE)
        assert value is not None and value > 0
    (note,) = trials.notes
    assert note.startswith("Each trial starts a fresh interpreter, because Python itself loads sitecustomize (")
    trials.host.close()


def test_what_installers_have_python_load_at_its_start_is_known(
    here: Path, write_input: WriteInput, candle: Candle
) -> None:
    """Where a lab's own package is installed as it is edited, and in older virtual environments."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "lab"], cwd=here, check=True)
    (installed,) = here.glob("lab/lib/python3*/site-packages")
    (here / "package").mkdir()
    (here / "package" / "labtools.py").write_text("RATE = 3\n")
    for name in ("_virtualenv", "__editable___labtools_1_finder", "_editable_impl_labtools"):
        (installed / f"{name}.py").write_text(f"import sys\nsys.path.append({str(here / 'package')!r})\n")
        (installed / f"{name}.pth").write_text(f"import {name}\n")
    script = "import os\nimport labtools\nval_to_return = labtools.RATE\n"
    done = candle("submit-job", write_input(script, "engine=local\npython_bin_path=$(pwd)/lab/bin"))
    assert done.returncode == 0 and "fresh interpreter" not in done.stdout, done.stdout
    (installed / "ours.pth").write_text("import ours_at_start, also_ours\n")
    for name in ("ours_at_start", "also_ours"):
        (installed / f"{name}.py").write_text("")
    done = candle("submit-job", write_input(script, "engine=local\npython_bin_path=$(pwd)/lab/bin"))
    assert "because Python itself loads ours_at_start (" in done.stdout and "and also_ours (" in done.stdout, (
        done.stdout
    )


def test_an_import_that_each_trial_does_itself_is_reported_where_it_is_slow(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    """With the time that `preload` would save; not each of those that take no time."""
    (here / "slow.py").write_text("import time, quick\ntime.sleep(0.6)\n")
    (here / "quick.py").write_text("")
    script = "import os\nimport quick\ntry:\n    import slow\nexcept ImportError:\n    pass\nval_to_return = 1"
    done = candle("submit-job", write_input(script, "engine=local\nnworkers=2"))
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (done.stdout, candle("status").stdout):
        notes = [line for line in text.splitlines() if "is imported by each trial itself" in line]
        assert len(notes) == 1 and notes[0].startswith("slow is imported by each trial itself, which takes 0."), text
        assert "not a library that is known to behave the same" in notes[0]
        assert 'preload="slow" would save 0:00:0' in notes[0]
    done = candle("submit-job", write_input(script, 'engine=local\nnworkers=2\npreload="slow"'))
    assert done.returncode == 0 and "is imported by each trial itself" not in done.stdout


def test_a_host_that_hangs_keeps_nobody_waiting(trials: Trials, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trial is ended all the same, and the host is given up."""
    monkeypatch.setattr(warm_process, "_REAP_SECONDS", 0.5)
    script = """
        import os, signal, time
        os.kill(os.getppid(), signal.SIGSTOP)
        open("stopped", "w").close()
        time.sleep(60)
    """
    ended: list[BaseException | object] = []

    def run() -> None:
        try:
            ended.append(trials.run(textwrap.dedent(script)))
        except OSError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while not (trials.paths.runs / "hpset_00001" / "stopped").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    trials.switch.stop()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert "did not report its end" in str(ended[0])


def test_a_file_beside_the_script_may_change_between_trials(trials: Trials, here: Path) -> None:
    (here / "helper.py").write_text("x = hyperparams = 1")
    assert trials.run("import helper; val_to_return = helper.x").value_of(THE_VALUE) == 1
    (here / "helper.py").write_text("x = 22")
    assert trials.run().value_of(THE_VALUE) == 22
    assert trials.notes == []
    assert trials.run("import good, helper; val_to_return = helper.x + 1").value_of(THE_VALUE) == 23


def test_a_module_of_the_users_that_is_preloaded_may_be_edited_all_the_same(here: Path) -> None:
    trials = Trials(here, "X000", "import helper; val_to_return = helper.x", preload=("helper",))
    (here / "helper.py").write_text("import more; x = more.x")
    (here / "more.py").write_text("x = 1")
    assert [trials.run().value_of(THE_VALUE) for _ in range(2)] == [1, 1]
    (here / "more.py").write_text("x = 22")
    assert [trials.run().value_of(THE_VALUE) for _ in range(2)] == [22, 22]
    assert trials.notes == []
    trials.host.close()


def test_a_script_that_begins_with_other_imports_now_has_another_host(here: Path) -> None:
    """What stands before an import may change it: here, which way to draw Matplotlib takes."""
    script = "import matplotlib\nprint(matplotlib.get_backend())\nval_to_return = 1"
    trials = Trials(here, "X000", script)
    outputs = [trials.run() and trials.output for _ in range(2)]
    outputs.append(trials.run("import os\nos.environ['MPLBACKEND'] = 'svg'\n" + script) and trials.output)
    assert outputs == ["agg\n", "agg\n", "svg\n"]
    trials.host.close()


def test_files_in_a_folder_of_the_users_called_like_that_of_installed_ones_may_be_edited(here: Path) -> None:
    trials = Trials(here, "X000", "import lab; val_to_return = lab.x", preload=("lab",))
    for x in (11, 22, 33):
        (trials.installed / "lab.py").write_text(f"x = {x}")
        assert trials.run().value_of(THE_VALUE) == x
    trials.host.close()


def test_a_package_that_python_loads_at_its_start_from_a_namespace_must_be_known(here: Path) -> None:
    trials = Trials(here, "X000", "import company.start; val_to_return = company.start.SEED")
    (trials.installed / "company" / "start").mkdir(parents=True)
    start = trials.installed / "company" / "start" / "__init__.py"
    start.write_text("import os; SEED = int(os.environ.get('CANDLE_SEED', -1))\n")
    (trials.installed / "sitecustomize.py").write_text("import company.start\n")
    assert len({trials.run().value_of(THE_VALUE) for _ in range(3)}) == 3
    trials.host.close()


@pytest.mark.parametrize(
    ("library", "note"),
    [
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
            "starts a thread",
        ),
        ("import subprocess; child = subprocess.Popen(['sleep', '2'])", "starts a process"),
        ("import os; kept = open(__file__)", "/odd.py open"),
        ("import socket; kept = socket.socket()", "open"),
        ("import random; generator = random.Random()", "it keeps its own random numbers (a Random)"),
        ("import random\nclass S(random.Random): pass\ns = S()", "it keeps its own random numbers (a S)"),
        ("import numpy; s = numpy.random.default_rng()", "it keeps its own random numbers (a PCG64)"),
        ("import os; seed = int(os.environ['CANDLE_SEED'])", "its import fails: KeyError"),
        ("from __main__ import hyperparams", "its import fails: ImportError: cannot import name 'hyperparams'"),
        ("import os, sys\nif 'CANDLE_' + 'SEED' not in {**os.environ}: os._exit(7)", "its import ends the process (7)"),
        ("import os\nif 'CANDLE_' + 'SEED' not in {**os.environ}: os.kill(os.getpid(), 11)", "ends the process (-11)"),
    ],
)
def test_a_module_that_no_process_can_share_is_left_to_the_trials(here: Path, library: str, note: str) -> None:
    trials = Trials(here, "X000", "", preload=("odd", "good"))
    install(trials, "good", f"print('x', end='', file=open({str(here / 'imports')!r}, 'a'))\n")
    install(trials, "odd", library)
    for _ in range(3):
        assert trials.run("import good\nimport odd\nimport calendar" + SHOW_HOST).value_of(THE_VALUE) == 1, (
            trials.output
        )
    notes = [one for one in trials.notes if one.startswith("preload: odd is imported by each trial itself: ")]
    assert len(notes) == 1 and note in notes[0], trials.notes
    assert len({trials.output for _ in range(2) if trials.run().value_of(THE_VALUE)}) == 1  # the same host all the time
    assert imports(here) == 2  # of the host that met it, and of the one that continues
    trials.host.close()


def test_variables_that_an_import_sets_are_there_as_in_a_fresh_interpreter(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, "sets")
    trials = Trials(here, "X000")
    install(
        trials,
        "sets",
        "import os; os.environ['SET'] = '1'; os.environ['OMP_NUM_THREADS'] = '7'; del os.environ['HOME']",
    )
    script = "import sets, os; e = os.environ; print(e['SET'], e['OMP_NUM_THREADS'], 'HOME' in e); val_to_return = 1"
    for _ in range(2):
        assert trials.run(script).value_of(THE_VALUE) == 1
        assert trials.output == "1 7 False\n"
    assert trials.notes == []
    trials.host.close()


def test_an_import_that_fails_fails_in_the_trial_as_ever(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes, outputs = [], []
    know(monkeypatch, "fails", "half")
    for name, preload in (("cold", ("none",)), ("warm", ())):
        trials = Trials(here, name, "import sys\n\nimport fails\nimport calendar\n", preload=preload)
        install(trials, "fails", "import half\nraise ImportError('broken')\n")
        install(trials, "half", "")
        for _ in range(2):
            outcomes.append(trials.run().reason)
            outputs.append(trials.output)
        trials.host.close()
    assert trials.notes == []
    assert set(outcomes) == {"exit status 1; last output: ImportError: broken (model.py, line 3)"}
    assert len(set(outputs)) == 1 and "line 3, in <module>" in outputs[0]


def test_what_imports_print_is_in_every_trials_output(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = []
    know(monkeypatch, "says")
    for name, preload in (("cold", ("none",)), ("warm", ())):
        trials = Trials(here, name, "import says\nprint('trial')\nval_to_return = 1", preload=preload)
        install(trials, "says", "import sys, warnings\nprint('said')\nwarnings.warn('careful')\n")
        for _ in range(2):
            trials.run()
            outputs.append(trials.output)
        trials.host.close()
    assert len(set(outputs)) == 1 and "careful" in outputs[0]


def test_a_slow_import_is_waited_for_once_and_is_not_the_trials_time(here: Path) -> None:
    trials = Trials(here, "X000", "import slow\nval_to_return = 1", trial_timeout=3, preload=("slow",))
    imports = here / "imports"
    install(trials, "slow", f"import time; open({str(imports)!r}, 'a').write('once '); time.sleep(4)")
    for _ in range(3):
        outcome = trials.run()
        assert (outcome.status, trials.notes) == (Status.COMPLETED, [])
    assert imports.read_text() == "once "
    trials.host.close()


def test_an_import_that_never_ends_is_given_up_and_the_trial_has_its_own_time(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (warm_host, warm_process):
        monkeypatch.setattr(module, "PRELOAD_SECONDS", 1.0)
    trials = Trials(here, "X000", "import endless\nval_to_return = 1", trial_timeout=1, preload=("endless",))
    install(trials, "endless", "import time; time.sleep(600)")
    for _ in range(2):
        assert trials.run().status is Status.TIMED_OUT
    assert trials.notes == ["Each trial starts a fresh interpreter, because importing endless took longer than 1 s"]
    trials.host.close()


def test_a_stop_does_not_wait_for_an_import(here: Path) -> None:
    trials = Trials(here, "X000", "import slow\nval_to_return = 1", preload=("slow",))
    install(trials, "slow", f"import time; open({str(here / 'begun')!r}, 'w'); time.sleep(600)")

    def stop() -> None:
        while not (here / "begun").exists():
            time.sleep(0.01)
        trials.switch.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    assert unless_it_hangs(trials.run).status is Status.INTERRUPTED
    thread.join()
    trials.switch.close()
    trials.host.close()


def test_pools_of_threads_that_survive_a_fork_are_not_an_obstacle(here: Path) -> None:
    """OpenBLAS, in NumPy, starts its threads when it is loaded, ends them before a fork, and restarts them after."""
    numpy = "import numpy, os, sys\n"
    script = f"""{numpy}
print(os.getppid(), len(os.listdir("/proc/self/task")))
a = numpy.random.default_rng(1).random((900, 900))
val_to_return = float((a @ a).sum())
print(len(os.listdir("/proc/self/task")))
"""
    trials = Trials(here, "X000", script, nthreads=2)
    values = [trials.run().value_of(THE_VALUE) for _ in range(3)]
    assert values[0] is not None and len(set(values)) == 1
    assert trials.notes == []
    assert trials.output.split()[1:] == ["1", "2"]
    trials.host.close()


def test_the_host_that_a_trial_ends_is_the_machines_fault_and_another_one_comes(trials: Trials) -> None:
    kill = "import good, os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(600)"
    for _ in range(2):
        with pytest.raises(OSError, match="its warm host was lost"):
            trials.run(kill)
        assert trials.run("import good" + SHOW_HOST).value_of(THE_VALUE) == 1
    with pytest.raises(OSError, match="its warm host was lost"):
        trials.run(kill)
    trials.run("import good" + SHOW_HOST)
    assert int(trials.output) == os.getpid()
    assert trials.notes == ["Each trial starts a fresh interpreter, because its warm host was lost, 3 times"]


def test_another_environment_is_another_host(trials: Trials) -> None:
    seen = set()
    for value in ("1", "1", "2"):
        trials.devices = {"CUDA_VISIBLE_DEVICES": value}
        trials.run("import os; print(os.getppid(), os.environ['CUDA_VISIBLE_DEVICES']); val_to_return = 1")
        seen.add(trials.output)
    assert len(seen) == 2


def test_a_trial_of_a_warm_host_dies_with_its_worker(trials: Trials, here: Path) -> None:
    """However the worker ends: here, by SIGKILL."""
    trials.write(
        "import os, time\nprint(os.getppid(), os.getpid(), file=open('../../../pids', 'w', 1))\ntime.sleep(600)"
    )
    code = f"""
import sys; sys.path[:0] = {sys.path!r}
import os; os.chdir({str(here)!r})
from pathlib import Path
from support.warm_trials import Trials
Trials(Path({str(here)!r}), "X001", Path("model.py").read_text()).run()
"""
    worker = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 20
    while not (here / "pids").exists() or not (here / "pids").read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker.kill()
    worker.wait()
    assert gone(*map(int, (here / "pids").read_text().split()))


def test_closing_ends_the_host(trials: Trials) -> None:
    trials.run()
    trials.host.close()
    assert gone(int(trials.output))


def test_thousands_of_trials_leave_nothing_in_their_host(trials: Trials, here: Path) -> None:
    """The host's memory, files, threads and children after 3,000 trials are those after the first few."""

    def state(host: Path) -> tuple[int, list[str]]:
        status = dict(line.split(":", 1) for line in (host / "status").read_text().splitlines())
        children = (host / f"task/{host.name}/children").read_text().split()
        files = sorted(path.name for path in (host / "fd").iterdir())
        return int(status["RssAnon"].split()[0]), [status["Threads"].strip(), *files, str(len(children) <= 1)]

    environment = dict.fromkeys(OF_A_TRIAL, "x") | {"CANDLE_PARAMS_FILE": str(here / "p.json")}
    environment |= {**os.environ, "CANDLE_RESULT_FILE": str(here / "r.json"), "PYTHONPATH": str(trials.installed)}
    (here / "p.json").write_text("{}")
    output = here / "output"

    def run() -> None:
        program = Program(trials.model.command, here, environment, output, Limits())
        ended = trials.host.run_process(program, trials.switch)
        assert ended.status == 0, output.read_text()

    for _ in range(50):
        run()
    host = Path(f"/proc/{output.read_text().strip()}")
    memory, rest = state(host)
    for _ in range(3_000):
        run()
    later, later_rest = state(host)
    assert later <= memory + 256  # kB
    assert later_rest == rest
    assert output.read_text().strip() == host.name
    assert imports(here) == 1


@pytest.mark.parametrize(
    ("settings", "because"),
    [
        ({"preload": ("none",)}, 'preload="none" says so'),
        ({"extra_script_args": ("-m", "cProfile")}, "extra_script_args has -m"),
        ({"extra_script_args": ("-um", "cProfile")}, "extra_script_args has -um"),
        ({"extra_script_args": ("-u", "wrapper.py")}, "extra_script_args has wrapper.py"),
        ({"extra_script_args": ("-i",)}, "extra_script_args has -i"),
        ({"model_script": "/m.R"}, "m.R is not a Python script"),
    ],
)
def test_what_cannot_start_warm_says_why(settings: dict[str, object], because: str) -> None:
    reason = preload_of(Settings(**{"model_script": "/m.py", "workflow": "grid", **settings}))  # type: ignore[arg-type]
    assert isinstance(reason, str) and because in reason


@pytest.mark.parametrize(
    "options", [("-u",), ("-W", "ignore"), ("-Wignore", "-uO"), ("-X", "utf8", "-s"), ("-uX", "dev")]
)
def test_options_of_the_interpreter_are_not_an_obstacle(options: tuple[str, ...], here: Path) -> None:
    settings = Settings(model_script="/m.py", workflow="grid", extra_script_args=options, dl_backend="pytorch")
    assert preload_of(settings) == Preload(())
    assert cold_start_note(settings) == ()
    trials = Trials(
        here, "X000", "import os, sys; print(os.getppid(), sys.flags); val_to_return = 1", extra_script_args=options
    )
    warm = [trials.run().value_of(THE_VALUE) and trials.output.split(" ", 1) for _ in range(2)]
    cold = Trials(here, "X001", trials.script.read_text(), extra_script_args=options, preload=("none",))
    cold.run()
    assert warm[0] == warm[1] and cold.output.split(" ", 1)[1] == warm[0][1]  # type: ignore[index]
    trials.host.close()


def test_the_user_names_more(here: Path) -> None:
    install(
        trials := Trials(
            here,
            "X000",
            "x = input and 1\nprint(os) if x == 2 else 0" + SHOW_HOST,
            preload=("good.more", "beside"),
        ),
        "x",
        "",
    )
    package = trials.installed / "good"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "more.py").write_text(f"print('x', end='', file=open({str(here / 'imports')!r}, 'a'))\n")
    (here / "beside.py").write_text("import good.more\n")
    for _ in range(3):
        assert trials.run("import beside; val_to_return = 4").value_of(THE_VALUE) == 4
    assert imports(here) == 1
    assert trials.notes == []
    trials.host.close()


def test_the_command_line_says_what_is_not_warm(candle: Candle, write_input: WriteInput, here: Path) -> None:
    (here / "helper.py").write_text("import socket; kept = socket.socket()")
    script = "import helper\nval_to_return = hyperparams['x']"
    done = candle("submit-job", write_input(script, 'engine=local\nnworkers=2\npreload="helper"'))
    note = "preload: helper is imported by each trial itself: its import leaves a socket open"
    assert done.returncode == 0 and done.stdout.count(note) == 1
    assert candle("status").stdout.count(note) == 1
    done = candle("submit-job", write_input("val_to_return = 1", 'engine=local\npreload="none"'))
    note = 'Each trial starts a fresh interpreter, because preload="none" says so'
    assert done.returncode == 0 and note in done.stdout and note in candle("status").stdout


def test_a_wrapper_that_stays_in_between_gets_no_warm_host(here: Path) -> None:
    wrapper = here / "python3"
    wrapper.write_text(f"#!/bin/sh\n'{sys.executable}' \"$@\"\nexit $?\n")
    wrapper.chmod(0o755)
    trials = Trials(here, "X000", "val_to_return = 1")
    model = msgspec.structs.replace(trials.model, command=(str(wrapper), *trials.model.command[1:]))
    trials.model, trials.host = model, warm_host.WarmHost(model)
    assert trials.run().value_of(THE_VALUE) == 1
    (note,) = trials.notes
    assert "is a wrapper that starts Python in its own process" in note


def test_an_interpreter_that_does_not_start_is_reported_by_the_trial(here: Path) -> None:
    trials = Trials(here, "X000", "val_to_return = 1")
    model = msgspec.structs.replace(trials.model, command=("false", *trials.model.command[1:]))
    trials.model, trials.host = model, warm_host.WarmHost(model)
    assert trials.run().reason == "exit status 1"
    assert trials.notes == [
        "Each trial starts a fresh interpreter, because its interpreter did not start a host (exit status 1)"
    ]


def test_the_hosts_are_written_in_the_oldest_python_they_serve() -> None:
    for path in WARM_HOST.parent.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 7))


def test_what_a_trial_leaves_outside_of_its_group_shows_whose_it_is_and_ends_with_it(trials: Trials) -> None:
    """A forked process shows its own trial in its environment, though it has never been given one."""
    script = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            print(os.getpid(), flush=True)
            print(open(f"/proc/{os.getpid()}/environ").read().split("\\0"), flush=True)
            open("shown", "w").close()
            time.sleep(600)
        while not os.path.exists("shown"):
            time.sleep(0.01)
        val_to_return = 1
    """
    for _ in range(2):
        assert trials.run(script).value_of(THE_VALUE) == 1
        number, shown = trials.output.splitlines()
        assert gone(int(number))
        assert "CANDLE_PARAMS_FILE=RUN/params.json" in ast.literal_eval(shown)
