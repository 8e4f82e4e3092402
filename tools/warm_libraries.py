"""Whether libraries behave the same warm and cold: each listed one that is there, in trials of both kinds.

    python tools/warm_libraries.py [PYTHON [MODULE ...]]     writes docs/warm-libraries.md

PYTHON is an interpreter that has the libraries. For each, two trials start in a fresh interpreter and two from a
warm host. What is the same in all the first must be the same in the others; what differs there must differ here.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Attempt, Configuration, Trial
from candle_hpo.launch.command import model_command
from candle_hpo.launch.preload import known_libraries
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch

PROBE = Path(__file__).with_name("warm_libraries_probe.py")
PAGE = Path(__file__).parents[1] / "docs" / "warm-libraries.md"
TRIALS = 2
ENVIRONMENT = {"PYTHONHASHSEED": "0", "KERAS_BACKEND": "jax"}

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


def trials_of(
    python: str, modules: Sequence[str], folder: Path, preload: tuple[str, ...], left: list[str]
) -> Iterator[dict[str, str]]:
    """Run trials; yield what each of them saw, its output and the files that it left among it.

    Modules that were not imported beforehand, although the list allows it, are added to `left`, with the reasons.
    """
    script = folder / "model.py"
    script.write_text(script_of(modules))
    settings = Settings(model_script=str(script), workflow="grid", preload=preload, nthreads=1)
    paths = ExperimentPaths(folder / ("cold" if preload else "warm"))
    paths.runs.mkdir(parents=True)
    model = model_command(settings, python, seed=1, experiment=folder)
    host, switch = WarmHost(model), StopSwitch()
    for number in range(TRIALS):
        trial = paths.trial(f"t{number}")
        attempt = Attempt(Trial(Configuration(number, f"t{number}", {})))
        outcome = run_attempt(model, attempt, trial, {}, switch, warm=host)
        if outcome.value_of(THE_VALUE) is None:
            raise SystemExit(f"{', '.join(modules)}: {outcome.reason}; see {trial.output}")
        left += [f"{slow.module}: {slow.because}" for slow in outcome.slow_imports]
        left += outcome.notes if not preload else ()
        fingerprint: dict[str, str] = json.loads((trial.run / "fingerprint.json").read_text())
        fingerprint["output"] = trial.output.read_text(errors="replace")
        for file in ("left.txt", "left.h5", "figure.png"):
            if (trial.run / file).exists():
                fingerprint[file] = hashlib.sha256((trial.run / file).read_bytes()).hexdigest()
        names = {str(trial.run): "RUN", str(paths.root): "EXPERIMENT", f"t{number}": "TRIAL"}
        yield {place: _without(names, value) for place, value in fingerprint.items()}
    host.close()


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


def compare(python: str, modules: Sequence[str]) -> Finding:
    """Compare cold trials with warm ones."""
    left: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        cold = list(trials_of(python, modules, Path(name), ("none",), []))
        warm = list(trials_of(python, modules, Path(name), (), left))
    places = {place for place in set.intersection(*map(set, cold)) if not PASSED_OVER.match(place)}
    differences = []
    for place in sorted(places):
        expected = {trial[place] for trial in cold}
        got = {trial.get(place, "nothing") for trial in warm}
        if (len(expected) == 1 and got != expected) or (len(expected) == TRIALS and len(got) == 1):
            differences.append(f"{place}: cold {sorted(expected)[0]:.80}, warm {sorted(got)[0]:.80}")
    return Finding(len(places), differences, left)


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


def main(python: str = sys.executable, *modules: str) -> None:
    there = versions(python)
    if modules == ("--all-at-once",):
        print(json.dumps({"modules": sorted(there), **compare(python, sorted(there))._asdict()}))
        return
    findings = {}
    for module in modules or there:
        findings[module] = compare(python, [module])
        print(module, there[module], *findings[module], sep="\n  ", flush=True)
    if not modules:
        PAGE.write_text(page(python, there, findings))


def page(python: str, there: Mapping[str, str], findings: Mapping[str, Finding]) -> str:
    """Return the page of the documentation with the table."""
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    rows = ["| module | version | places compared | differences |", "| --- | --- | --- | --- |"]
    for module, found in findings.items():
        said = "; ".join(found.left or found.differences) or "none"
        rows.append(f"| `{module}` | {there[module]} | {found.places:,} | {said} |")
    return PAGE_TEXT.format(trials=TRIALS, version=version, system=platform.system(), table="\n".join(rows))


PAGE_TEXT = """# Libraries that are imported beforehand

Made by `make libraries`. Of each library that [a warm interpreter](model-scripts.md#warm-interpreters) may import
before the trials, {trials} trials ran in a fresh interpreter and {trials} from a warm one ({version}, {system}, with
`PYTHONHASHSEED=0`). Compared are the values of all variables of all modules, the states of generators of random
numbers, values computed with seeds and without, threads, open files, the environment, signals, what runs at the end,
the output, and files that the trial left. What is the same in all cold trials has to be the same in the warm ones, and
what differs has to differ.
Passed over is what cannot matter (addresses, names that need only differ within one process, tracebacks of imports);
`tools/warm_libraries.py` has the list, with reasons.

{table}

A library that was left to the trials was not imported beforehand, so nothing can differ; the reason stands in its
place.
"""


if __name__ == "__main__":
    if not ENVIRONMENT.items() <= os.environ.items():  # trials have the environment that this process was started with
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})  # noqa: S606
    main(*sys.argv[1:])
