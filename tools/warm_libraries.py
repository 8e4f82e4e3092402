"""Whether libraries behave the same warm and cold: each listed one that is there, in trials of both kinds.

    python tools/warm_libraries.py [PYTHON [SUBJECT ...]]       writes its part of docs/warm-libraries.md
    python tools/warm_libraries.py PYTHON --times [SUBJECT ...] writes the other part, how long a trial takes to start
    python tools/warm_libraries.py PYTHON --all-at-once [MODULE ...]  compares them in the same trials; prints JSON

PYTHON is an interpreter that has the libraries; a subject is a module, or a module with a variable of its environment
(keras,KERAS_BACKEND=torch). Where subjects are named, the other rows of the table stay as they are. For each, two
trials start in a fresh interpreter and two from a warm host. What is the same in all the first must be the same in the
others; what differs there must differ here.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths, TrialPaths
from candle_hpo.core.trial import Attempt, Configuration, Trial
from candle_hpo.launch.command import model_command
from candle_hpo.launch.preload import known_libraries
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch

PROBE = Path(__file__).with_name("warm_libraries_probe.py")
PAGE = Path(__file__).parents[1] / "docs" / "warm-libraries.md"
TRIALS, ROUNDS = 2, 3
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
VARIANTS = {"keras": [f"KERAS_BACKEND={backend}" for backend in ("jax", "tensorflow", "torch")]}
# What people tune, of which the start of a trial is timed.
TIMED = (
    "numpy", "pandas", "sklearn", "xgboost", "lightgbm", "torch", "torchvision", "torchmetrics", "lightning",
    "transformers", "jax", "keras", "tensorflow",
)  # fmt: skip

# What is used of a library, besides its import: `seeded` must be the same in all trials, `drawn` another in each.
USES = {
    "numpy": """
seeded, drawn = numpy.random.RandomState(1).rand(), [numpy.random.rand(), numpy.random.default_rng().random()]""",
    "scipy": """
import scipy.optimize, scipy.stats
drawn, found_at = scipy.stats.norm.rvs(), scipy.optimize.minimize(lambda x: (x - 2) ** 2, 0.0).x.item()
seeded = [scipy.stats.norm.rvs(random_state=1), found_at]""",
    "pandas": """
frame = pandas.DataFrame({"x": range(999)})
seeded, drawn = int(frame.sample(3, random_state=1).x.sum()), frame.sample(3).x.tolist()""",
    "sklearn": """
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor
x, y = make_regression(random_state=1)
drawn = RandomForestRegressor(3).fit(x, y).predict(x).sum().item()
seeded = RandomForestRegressor(3, random_state=1, n_jobs=2).fit(x, y).predict(x).sum().item()""",
    "torch": """
drawn = torch.rand(2).tolist()
torch.manual_seed(1)
layer = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(layer.parameters())
layer(torch.ones(5, 3)).sum().backward()
optimizer.step()
seeded = [layer(torch.ones(3)).item(), (torch.ones(300, 300) @ torch.ones(300, 300)).sum().item()]""",
    "jax": """
import jax.numpy
matrix = jax.random.normal(jax.random.PRNGKey(1), (50, 50))
seeded = float(jax.jit(lambda a: (a @ a).sum())(matrix))""",
    "xgboost": """
import numpy
x = numpy.arange(60.0).reshape(20, 3)
seeded = float(xgboost.XGBRegressor(n_estimators=3, subsample=0.5, seed=1).fit(x, x[:, 0]).predict(x).sum())""",
    "lightgbm": """
import numpy
x = numpy.arange(300.0).reshape(100, 3)
seeded = float(lightgbm.LGBMRegressor(n_estimators=3, seed=1).fit(x, x[:, 0]).predict(x).sum())""",
    "catboost": """
model = catboost.CatBoostRegressor(iterations=3, random_seed=1).fit([[1], [2]], [1, 2])
seeded = float(model.predict([[1]])[0])""",
    "statsmodels": """
import statsmodels.api
seeded = float(statsmodels.api.OLS([1, 2, 4], statsmodels.api.add_constant([1, 2, 3])).fit().params[1])""",
    "matplotlib": """
import matplotlib.pyplot
matplotlib.pyplot.plot([1, 2])
matplotlib.pyplot.savefig("figure.png")""",
    "numba": "seeded = numba.njit(lambda x: x * 2.5)(3)",
    "keras": """
import numpy
drawn = keras.random.uniform((2,)).__array__().tolist()
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)])
model.compile("adam", "mse")
x = numpy.arange(60.0).reshape(20, 3) / 60
seeded = model.fit(x, x.sum(axis=1), epochs=2, batch_size=5, verbose=0).history["loss"]""",
    "tensorflow": """
generator = tensorflow.random.Generator.from_non_deterministic_state()
drawn = [tensorflow.random.uniform((2,)).numpy().tolist(), generator.normal(()).numpy().item()]
tensorflow.random.set_seed(1)
weight = tensorflow.Variable(tensorflow.random.normal((50, 50)))
with tensorflow.GradientTape() as tape:
    loss = tensorflow.reduce_sum((weight @ weight) ** 2)
seeded = [loss.numpy().item(), tensorflow.reduce_sum(tape.gradient(loss, weight)).numpy().item()]
rows = tensorflow.data.Dataset.range(20).shuffle(20, seed=1).map(lambda x: x * 2, num_parallel_calls=2).batch(3)
seeded += [batch.numpy().tolist() for batch in rows]""",
    "torchvision": """
import torch
torch.manual_seed(1)
model = torchvision.models.resnet18()
seeded = model.eval()(torch.ones(1, 3, 64, 64)).sum().item()
drawn = torchvision.transforms.RandomCrop(8).get_params(torch.ones(3, 64, 64), (8, 8))""",
    "torchmetrics": """
import torch
seeded = torchmetrics.functional.auroc(torch.tensor([0.1, 0.8, 0.4]), torch.tensor([0, 1, 1]), "binary").item()""",
    "h5py": """
file_left_open = h5py.File("left.h5", "w")
file_left_open["x"] = [1] * 1000""",
    "cv2": """
import numpy
seeded = float(cv2.GaussianBlur(numpy.eye(9), (3, 3), 0).sum())""",
    "transformers": "seeded = transformers.BertConfig(hidden_size=12, num_attention_heads=2).to_json_string()",
    "pyarrow": """
import pyarrow.compute
seeded = pyarrow.compute.sum(pyarrow.array([1, 2.5])).as_py()""",
    "lightning": """
import torch
lightning.seed_everything(1)
seeded = torch.rand(1).item()""",
    "networkx": """
drawn = str(sorted(networkx.gnp_random_graph(30, 0.5).edges))[-200:]
seeded = sorted(networkx.gnp_random_graph(9, 0.5, seed=1).edges)""",
}


class Finding(NamedTuple):
    """What came of a comparison: how many places were compared, what differed, and what was left to the trials."""

    places: int
    differences: list[str]
    left: list[str]


class Subject(NamedTuple):
    """Libraries that are compared together, and a variable of the environment that they read."""

    modules: tuple[str, ...]
    variable: str = ""

    @classmethod
    def called(cls, name: str) -> Subject:
        module, _, variable = name.partition(",")
        return cls((module,), variable)

    @property
    def environment(self) -> dict[str, str]:
        name, _, value = self.variable.partition("=")
        return {name: value} if name else {}

    def __str__(self) -> str:
        return ",".join(filter(None, ("+".join(self.modules), self.variable)))


def script_of(modules: Sequence[str]) -> str:
    """Return a model script that imports libraries, uses them, and writes down all that can be seen."""
    imports = "\n".join(f"import {module}" for module in modules)
    uses = "".join(
        f"seeded = drawn = None\n{USES[module]}\nfound[{module!r}] = [seeded, drawn]\n"
        for module in modules
        if module in USES
    )
    return f"""{imports}
found = {{}}
{uses}
import atexit, ctypes, random, runpy, tempfile, uuid
probe = runpy.run_path({str(PROBE)!r})
for module, (seeded, drawn) in found.items():
    probe["look"](module + ": seeded", seeded, 0, frozenset())
    probe["look"](module + ": drawn", drawn, 0, frozenset())
probe["look"]("drawn", [random.random(), str(uuid.uuid4()), tempfile.mktemp()], 0, frozenset())
probe["write"]()
left = open("left.txt", "w")
left.write("all of it")
atexit.register(print, "the exit handler")
ctypes.CDLL(None).printf(b"from C")
val_to_return = 1
"""


class Trials:
    """Runs trials of a script, warm or cold, one after the other.

    Modules that were not imported beforehand, although the list allows it, are in `left`, with the reasons.
    """

    def __init__(self, python: str, subject: Subject, script: str, folder: Path, *, warm: bool) -> None:
        file = folder / "model.py"
        file.write_text(script)
        settings = Settings(model_script=str(file), workflow="grid", preload=() if warm else ("none",), nthreads=1)
        self.paths = ExperimentPaths(folder / ("warm" if warm else "cold"))
        self.paths.runs.mkdir(parents=True)
        self._model = model_command(settings, python, seed=1, experiment=folder)
        self._subject, self._warm = subject, warm
        self._host, self._switch = WarmHost(self._model), StopSwitch()
        self._number = 0
        self.left: list[str] = []

    def run(self) -> TrialPaths:
        """Run a trial; return where it is."""
        name = f"t{self._number}"
        trial, attempt = self.paths.trial(name), Attempt(Trial(Configuration(self._number, name, {})))
        self._number += 1
        outcome = run_attempt(self._model, attempt, trial, self._subject.environment, self._switch, warm=self._host)
        if outcome.value_of(THE_VALUE) is None:
            raise SystemExit(f"{self._subject}: {outcome.reason}; see {trial.output}")
        if self._warm:
            self.left += [f"{slow.module}: {slow.because}" for slow in outcome.slow_imports]
            self.left += outcome.notes
        return trial

    def close(self) -> None:
        """End the warm host."""
        self._host.close()


def fingerprints(trials: Trials) -> Iterator[dict[str, str]]:
    """Run trials; yield what each of them saw, its output and the files that it left among it."""
    for number in range(TRIALS):
        trial = trials.run()
        fingerprint: dict[str, str] = json.loads((trial.run / "fingerprint.json").read_text())
        fingerprint["output"] = _OF_ABSL.sub(r"\1 ", trial.output.read_text(errors="replace"))
        for file in ("left.txt", "left.h5", "figure.png"):
            if (trial.run / file).exists():
                fingerprint[file] = hashlib.sha256((trial.run / file).read_bytes()).hexdigest()
        names = {str(trial.run): "RUN", str(trials.paths.root): "EXPERIMENT", f"t{number}": "TRIAL"}
        yield {place: _without(names, value) for place, value in fingerprint.items()}
    trials.close()


_OF_ABSL = re.compile(r"(?m)^([IWEF])\d{4} \S+ +\d+ ")  # the time and the thread, of each line that TensorFlow logs


def _without(names: Mapping[str, str], value: str) -> str:
    for name, instead in names.items():
        value = value.replace(name, instead)
    return value


# What shows where something lies in memory, or how the script was started, and nothing that could matter to it.
PASSED_OVER = re.compile(
    r"_?ctypes\..*|sys\.(orig_argv|path_importer_cache|meta_path).*|threading\._main_thread\._ident|threading\._active.*"
    r"|.*\._dirty_len|.*\._EMPTY_HASH"  # of a dictionary of weak references; of None's address
    # the order of a set by its members' addresses
    r"|scipy\.sparse\._data\.name|torch\._dynamo\..*banned_attrs.*|pandas\..*\.unsupported_nodes.*"
    r"|torch\.\w+\._(lazy_seed_tracker|queued_calls).*"  # tracebacks, with our own lines
    r"|joblib\._multiprocessing_helpers\..*"  # the name of a lock that is not used again
    r"|numpy\.f2py\.rules\.generationtime"  # a comment in Fortran wrappers
    # names that need only differ within one process
    r"|sympy\..*Dummy\._base_dummy_index|xarray\..*_LOCK.*\.token|torch\.distributed\._composable\..*_KEY|transformers\.utils\.hub\.SESSION_ID"
    r"|torch\._dynamo\.config\._config.*\.default"  # what a trial sets instead is beside it
    r"|tables\.tests\..*"
    r"|inspect\.(_filesbymodname|modulesbyfile).*"  # of the modules that were there when somebody asked for a source
)


def compare(python: str, subject: Subject) -> Finding:
    """Compare cold trials with warm ones."""
    script = script_of(subject.modules)
    with tempfile.TemporaryDirectory() as name:
        cold = list(fingerprints(Trials(python, subject, script, Path(name), warm=False)))
        trials = Trials(python, subject, script, Path(name), warm=True)
        warm = list(fingerprints(trials))
    places = {place for place in set.intersection(*map(set, cold)) if not PASSED_OVER.match(place)}
    differences = []
    for place in sorted(places):
        expected = {trial[place] for trial in cold}
        got = {trial.get(place, "nothing") for trial in warm}
        if (len(expected) == 1 and got != expected) or (len(expected) == TRIALS and len(got) == 1):
            differences.append(f"{place}: cold {sorted(expected)[0]:.80}, warm {sorted(got)[0]:.80}")
    return Finding(len(places), differences, trials.left)


def versions(python: str) -> dict[str, str]:
    """Return the versions of the listed libraries that an interpreter has, by module."""
    ask = """
import importlib.metadata, importlib.util, json, sys
found = {}
for module, distributions in json.load(sys.stdin).items():
    for name in distributions:
        try:
            if importlib.util.find_spec(module):
                found[module] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
print(json.dumps(found))
"""
    listed = json.dumps(known_libraries().libraries)
    done = subprocess.run([python, "-c", ask], input=listed, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def time_of(trials: Trials) -> float:
    """Return the seconds that a trial takes, from its hyperparameters to its outcome."""
    began = time.monotonic()
    trials.run()
    return time.monotonic() - began


def start_times(python: str, subject: Subject) -> list[tuple[float, float]]:
    """Return the seconds that trials which only import a library take, cold and warm, in turn."""
    script = "".join(f"import {module}\n" for module in subject.modules) + "val_to_return = 1\n"
    with tempfile.TemporaryDirectory() as name:
        cold, warm = (Trials(python, subject, script, Path(name), warm=warm) for warm in (False, True))
        time_of(cold), time_of(warm)  # files of the libraries come from the disk, and the warm host has imported
        found = [(time_of(cold), time_of(warm)) for _ in range(ROUNDS)]
        warm.close()
    return found


def main(python: str = sys.executable, *arguments: str) -> None:
    there = versions(python)
    is_timed, names = "--times" in arguments, [each for each in arguments if not each.startswith("--")]
    if "--all-at-once" in arguments:
        modules = tuple(sorted(name for name in there if name in names or not names))
        print(json.dumps({"modules": modules, **compare(python, Subject(modules))._asdict()}))
        return
    subjects = [Subject.called(name) for name in names] or [
        Subject((module,), variable)
        for module in there
        if module in TIMED or not is_timed
        for variable in VARIANTS.get(module, [""])
    ]
    part, head = ("times", HEAD_OF_TIMES) if is_timed else ("comparisons", HEAD_OF_COMPARISONS)
    rows: dict[str, str] = {}
    for subject in subjects:
        if is_timed:
            row = row_of_times(subject, start_times(python, subject))
        else:
            row = row_of(subject, there[subject.modules[0]], compare(python, subject))
        print(row, flush=True)
        rows[str(subject)] = row
        write_part(part, head, rows, keep=bool(names))


HEAD_OF_COMPARISONS = f"""\
{platform.system()}, with `PYTHONHASHSEED=0`; a variable beside a module is one that its import reads.

| module | version | places compared | differences |
| --- | --- | --- | --- |"""
HEAD_OF_TIMES = f"""\
{ROUNDS} trials of each kind, in turn, on {os.cpu_count()} cores; medians (least to most).

| module | fresh interpreter, s | warm, ms | times |
| --- | --- | --- | --- |"""


def row_of(subject: Subject, version: str, found: Finding) -> str:
    """Return the row of a comparison."""
    said = "; ".join(found.left or found.differences) or "none"
    return f"| {shown(subject)} | {version} | {found.places:,} | {said} |"


def row_of_times(subject: Subject, found: Sequence[tuple[float, float]]) -> str:
    """Return the row of the start of trials."""
    cold, warm = [spread([pair[at] * unit for pair in found]) for at, unit in ((0, 1), (1, 1000))]
    return f"| {shown(subject)} | {cold} | {warm} | {spread([pair[0] / pair[1] for pair in found])} |"


def shown(subject: Subject) -> str:
    """Return a subject as the first cell of its row."""
    return ", ".join(f"`{part}`" for part in str(subject).split(","))


def spread(values: Sequence[float]) -> str:
    """Return the median, the least and the most, in two digits."""
    found = (statistics.median(values), min(values), max(values))
    middle, least, most = (f"{float(f'{each:.2g}'):g}" for each in found)
    return f"{middle} ({least} to {most})"


def write_part(name: str, head: str, rows: Mapping[str, str], *, keep: bool) -> None:
    """Write a table between its two marks of the page; `keep` the other rows that it has."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    old, _, after = rest.partition(end)
    there = [row for row in old.splitlines() if row.startswith("| `")]
    kept = {row.split("|")[1].replace("`", "").replace(" ", ""): row for row in there if keep}
    text = "\n".join([head, *{**kept, **rows}.values()])
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    if not ENVIRONMENT.items() <= os.environ.items():  # trials have the environment that this process was started with
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})  # noqa: S606
    main(*sys.argv[1:])
