"""The report's page: what it is made from, and what it is in a real browser."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from candle_hpo.core.axes import Axis, categorical
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.parameters import Parameter, ParametricSpace
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Failure, FailureKind, Outcome, Place, Status
from candle_hpo.record.events import AnyEvent, CampaignStarted, CampaignStopped, TrialFinished, TrialStarted
from candle_hpo.record.folder import read_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from candle_hpo.report.columns import Column, columns_of, looks_logarithmic
from candle_hpo.report.importance import importance
from candle_hpo.report.page.data import page_data, value_range
from candle_hpo.report.page.render import report_page
from candle_hpo.report.space import corners
from conftest import Candle, WriteInput
from support.attempts import attempt_at
from support.browser import open_page, page_address
from support.made_experiments import CONDITIONAL, HOSTILE, make_experiment


def page_of(root: Path, target: Path) -> Path:
    paths = ExperimentPaths(root)
    stored = read_experiment_settings(paths)
    target.write_text(report_page(paths, stored, History(stored.settings.objective, read_events(paths.record))))
    return target


def test_columns_of_numbers_choices_vectors_and_what_is_missing() -> None:
    sets: list[dict[str, object]] = [
        {"rate": 10.0**-k, "size": 2**k, "kind": None if k else "null", "dense": [k, k / 2], "flag": k % 2 == 0}
        for k in range(25)
    ]
    del sets[3]["rate"]
    sets[4]["mixed"] = 1
    sets[5]["mixed"] = "1"
    columns = {column.name: column for column in columns_of(["rate", "size", "kind", "dense", "flag", "mixed"], sets)}
    assert list(columns) == ["rate", "size", "kind", "dense[1]", "dense[2]", "flag", "mixed"]
    assert columns["rate"].is_log
    assert columns["size"].is_log
    assert columns["rate"].values[3] is None
    assert not columns["dense[1]"].is_log
    assert columns["kind"].choices == ('"null"', "null")  # the text, and the value
    assert columns["flag"].choices == ("false", "true")
    assert columns["mixed"].choices == ("1", '"1"')
    assert columns["mixed"].values[:6] == (None, None, None, None, 0, 1)


def test_more_choices_than_can_be_shown_are_put_together() -> None:
    (column,) = columns_of(["name"], [{"name": f"text {k}"} for k in range(1000)])
    assert len(column.choices) == 40
    assert column.choices[-1] == "other values"
    assert column.values[-1] == 39


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([64, 128, 256, 512, 1024], True),
        ([2, 4, 6, 8, 10], False),
        ([1e-5, 1e-4, 1e-3], True),
        ([k / 1000 for k in range(1, 500)], False),
        ([0, 1, 10, 100], False),
        ([5], False),
        ([], False),
    ],
)
def test_which_numbers_are_shown_on_a_logarithmic_axis(numbers: list[float], expected: bool) -> None:
    assert looks_logarithmic(numbers) is expected


def test_values_far_off_are_kept_out_of_the_charts_range_at_the_worse_end_only() -> None:
    values = [k / 100 for k in range(100)]
    assert value_range(values, Direction.MINIMIZE).outside == 0  # type: ignore[union-attr]
    far = value_range([*values, 1e6, -1e6], Direction.MINIMIZE)
    assert far is not None
    assert far.outside == 0, "where the best is far off itself, everything is shown"
    far = value_range([*values, 1e6], Direction.MINIMIZE)
    assert far is not None
    assert (far.outside, far.shown_low, far.high) == (1, 0.0, 1e6)
    assert 1.0 < far.shown_high < 2.0
    far = value_range([*values, -1e6], Direction.MAXIMIZE)
    assert far is not None
    assert (far.outside, far.shown_high) == (1, 0.99)
    assert value_range([], Direction.MINIMIZE) is None


def test_importance_finds_what_matters(tmp_path: Path) -> None:
    paths = make_experiment(tmp_path / "X000", 400)
    history = History(Objective(Direction.MINIMIZE), read_events(paths.record))
    rows = [row for _, row in sorted(history.trials.items())]
    columns = columns_of(CONDITIONAL, [row.trial.hyperparameters for row in rows])
    shares = importance(rows, columns, Direction.MINIMIZE)
    assert shares is not None
    assert set(shares) == set(CONDITIONAL), "those that some trials lack, too"
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares, key=lambda name: shares[name]) == "learning_rate"
    assert importance(rows[:5], [Column(c.name, c.values[:5], c.choices) for c in columns], Direction.MINIMIZE) is None


def test_attempts_and_campaigns_of_a_resumed_experiment() -> None:
    trial = attempt_at(0, {"x": 1}, id="a")
    again = attempt_at(0, {"x": 1}, id="a", attempt=2)
    interrupted = Outcome(
        Status.INTERRUPTED, {}, Failure(FailureKind.MACHINE, "its worker was lost"), 3.0, Place("n1", 0)
    )
    events: list[AnyEvent] = [
        CampaignStarted(100.0, "n1", 1, 2),
        TrialStarted.of(trial, 101.0),
        TrialFinished.of(trial, interrupted, 105.0),
        CampaignStopped(106.0, Stop(StopReason.CTRL_C)),
        CampaignStarted(1000.0, "n2", 2, 4),
        TrialStarted.of(again, 1001.0),
        TrialFinished.of(again, Outcome(Status.COMPLETED, {THE_VALUE: 0.5}, None, 2.0, Place("n2", 1)), 1004.0),
    ]
    history = History(Objective(Direction.MINIMIZE), events)
    assert [(span.started.time, span.ended, span.started.workers) for span in history.campaigns] == [
        (100, 106, 2),
        (1000, 1004, 4),
    ]
    assert [(attempt.attempt.number, attempt.began, attempt.ended) for attempt in history.attempts] == [
        (1, 102.0, 105.0),
        (2, 1002.0, 1004.0),
    ]
    data = page_data("X000", history, ["x"])
    assert data.places == ((0.0, 2), (6.0, 4)), "the time between campaigns does not count"
    assert data.runs.began == (2.0, 8.0)
    assert data.running_time == 10.0
    assert data.workers == ("n1:0", "n2:1")
    assert data.order == (0,)


def test_the_page_asks_for_nothing_and_is_not_broken_by_what_it_shows(tmp_path: Path) -> None:
    make_experiment(tmp_path / "X000", 60)
    text = page_of(tmp_path / "X000", tmp_path / "page.html").read_text()
    assert HOSTILE not in text
    assert html.escape(HOSTILE) in text
    assert text.count("</script>") == 3
    elements = re.sub("<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", elements)
    assert "default-src 'none'" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert HOSTILE in next(column for column in data["hyperparameters"] if column["name"] == "activation")["choices"]


# What Vega has in it: names of formats, and pages that its messages and its menu name. None of it is fetched.
NAMED_IN_VEGA = {"http://www.w3.org", "https://vega.github.io", "https://github.com"}


def test_a_page_of_1000_trials_with_reports_is_below_2_megabytes_and_has_no_outside_address(tmp_path: Path) -> None:
    make_experiment(tmp_path / "X000", 1000, steps=27)
    page = page_of(tmp_path / "X000", tmp_path / "page.html")
    assert page.stat().st_size < 2_000_000
    scripts = re.findall("<script.*?</script>", page.read_text(), flags=re.DOTALL)
    vega = max(scripts, key=len)
    assert "function" in vega, "it is the largest of them"
    addresses = re.compile(r"(?:https?|wss?|ftp)://[\w.-]+|[\"'(=]//\w[\w.-]*\.\w+")
    assert set(addresses.findall(vega)) <= NAMED_IN_VEGA
    assert addresses.findall(page.read_text().replace(vega, "")) == []


def assert_is_sound(page: Path, figures: int) -> str:
    seen = open_page(page_address(page))
    assert seen.console == []
    assert 'data-problems="' not in seen.html.split("<body", 1)[0]
    assert f'data-drawn="{figures}"' in seen.html, re.findall(r'data-drawn="\d+"', seen.html)
    for label in ["trials ended", "objective (", "busy workers", "running time (", "duration of a trial ("]:
        assert f">{label}" in seen.html, label
    return seen.html


@pytest.mark.browser
def test_a_grid_of_25_in_a_browser(candle: Candle, write_input: WriteInput, here: Path) -> None:
    script = "val_to_return = 100 / hyperparams['epochs'] + hyperparams['batch_size'] / 100"
    sets = [{"epochs": e, "batch_size": b} for e in range(2, 11, 2) for b in (64, 128, 256, 512, 1024)]
    path = write_input(script, control="nworkers=2", param_space="\n".join(map(json.dumps, sets)))
    assert candle("submit-job", path).returncode == 0
    done = candle("report")
    assert done.returncode == 0, done.stderr
    assert "25 trials in candle_generated_files/X000_report.html" in done.stdout
    # history, importance, two hyperparameters, parallel coordinates, busy workers, each worker's, durations
    text = assert_is_sound(here / "candle_generated_files" / "X000_report.html", 8)
    assert ">batch_size (logarithmic)<" in text
    assert "1 to 25 of 25 trials" in text
    rows = re.findall(r"<tr[^>]*>(<td.*?)</tr>", text[text.index('id="table"') :].split("</table>")[0])
    assert len(rows) == 25
    assert [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", rows[0])][:4] == [
        "10.64", "hpset_00021", "10", "64",
    ]  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize("direction", list(Direction))
def test_a_conditional_experiment_with_failures_in_a_browser(tmp_path: Path, direction: Direction) -> None:
    make_experiment(tmp_path / "X001", 150, direction=direction)
    text = assert_is_sound(page_of(tmp_path / "X001", tmp_path / "page.html"), 13)
    assert "momentum; " in text
    assert "trials do not have it" in text
    assert ">not set<" in text
    assert "val_to_return is nan, not a finite number" in text
    assert f"({'lower' if direction is Direction.MINIMIZE else 'higher'} is better)" in text


@pytest.mark.browser
def test_10_000_trials_in_a_browser(tmp_path: Path) -> None:
    make_experiment(tmp_path / "X002", 10_000, workers=40)
    page = page_of(tmp_path / "X002", tmp_path / "page.html")
    assert page.stat().st_size < 10e6
    text = assert_is_sound(page, 13)
    assert "1 to 100 of 10,000 trials" in text


@pytest.mark.browser
@pytest.mark.parametrize("trials", [0, 1, 3])
def test_an_experiment_that_has_hardly_begun_in_a_browser(tmp_path: Path, trials: int) -> None:
    make_experiment(tmp_path / "X003", trials + 2, running=2)
    seen = open_page(page_address(page_of(tmp_path / "X003", tmp_path / "page.html")))
    assert seen.console == []
    assert 'data-problems="' not in seen.html.split("<body", 1)[0]
    assert "2 running when this page was made" in seen.html


def test_reports_that_cannot_be_made(candle: Candle, write_input: WriteInput, here: Path) -> None:
    done = candle("report")
    assert done.returncode == 2
    assert "there is no experiment here" in done.stderr
    assert candle("submit-job", write_input()).returncode == 0
    done = candle("report", "--format", "pgn")
    assert done.returncode == 2
    assert 'did you mean "png"?' in done.stderr
    (here / "file").write_text("")
    done = candle("report", "--output", "file/report.html")
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "--output" in done.stderr


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_figures_for_print(candle: Candle, here: Path, kind: str) -> None:
    make_experiment(here / "X004", 60)
    done = candle("report", "X004", "--format", kind)
    assert done.returncode == 0, done.stderr
    figures = {path.name: path.read_bytes() for path in (here / "X004" / "X004_figures").iterdir()}
    names = ("objective", "hyperparameters", "importance", "busy", "workers", "durations")
    assert set(figures) == {f"{name}.{kind}" for name in names}
    for data in figures.values():
        assert data.startswith(b"\x89PNG" if kind == "png" else b"<svg")
    if kind == "svg":
        text = figures["hyperparameters.svg"].decode()
        for label in [*CONDITIONAL, "objective (lower is better)"]:
            assert f">{label}" in text
        assert html.escape(HOSTILE[:4]) in text
        assert ">running time (min)<" in figures["workers.svg"].decode()


def test_figures_under_a_limit_of_addresses(here: Path) -> None:
    make_experiment(here / "X004", 5)
    command = f"ulimit -v 8388608; {sys.executable} -m candle_hpo report X004 --output o"
    page = subprocess.run(["bash", "-c", f"{command}.html"], capture_output=True, text=True, timeout=120)
    assert page.returncode == 0, page.stderr
    figures = subprocess.run(["bash", "-c", f"{command} --format png"], capture_output=True, text=True, timeout=120)
    assert figures.returncode == 3
    assert "drawing a PNG needs 128 GB of address space, and this shell has a limit of 8 GB" in figures.stderr


SPACE = """
{"name": "learning_rate", "type": "float", "low": 1e-5, "high": 0.1, "log": true}
{"name": "optimizer", "type": "categorical", "choices": ["adam", "sgd", null]}
{"name": "momentum", "type": "float", "low": 0, "high": 0.99, "requires": {"optimizer": "sgd"}}
{"name": "layers", "type": "int", "low": 1, "high": 64, "log": true}
"""


@pytest.mark.browser
def test_a_bayesian_search_with_failures_in_a_browser(candle: Candle, write_input: WriteInput, here: Path) -> None:
    script = """
        import math
        rate = hyperparams["learning_rate"]
        if rate > 0.03:
            raise FloatingPointError("the loss is nan")
        val_to_return = (math.log10(rate) + 3) ** 2 + hyperparams.get("momentum", 0.5) + hyperparams["layers"] / 64
    """
    path = write_input(script, control="nworkers=2\nmax_budget=30\nseed=1", default_model="", param_space=SPACE)
    path.write_text(path.read_text().replace('workflow="grid"', 'workflow="bayesian"'))
    assert candle("submit-job", path).returncode == 1
    assert candle("report").returncode == 0
    text = assert_is_sound(here / "candle_generated_files" / "X000_report.html", 10)
    for label in ["learning_rate (logarithmic)", "layers (logarithmic)", "not set"]:
        assert f">{label}<" in text
    assert "the loss is nan" in text
    assert "bayesian search of" in text


def test_every_choice_and_both_ends_of_a_space() -> None:
    space = ParametricSpace(
        (
            Parameter(name="kind", axes=(categorical("kind", ("a", None, True)),)),
            Parameter(name="rate", axes=(Axis("rate", "float", 0.5, 2.0),)),
            Parameter(name="sizes", axes=(Axis("s1", "integer", 1, 9), Axis("s2", "integer", 1, 9)), is_vector=True),
        )
    )
    assert corners(space) == [
        {"kind": "a", "rate": 0.5, "sizes": [1, 1]},
        {"kind": None, "rate": 2.0, "sizes": [9, 9]},
        {"kind": True, "rate": 2.0, "sizes": [9, 9]},
    ]


USE_THE_PAGE = """
<script>
const said = [];
const first = () => document.querySelector("#table tbody tr td:nth-child(3)").textContent;
const buttons = [...document.querySelectorAll("#table th button")];
const button = (name) => [...document.querySelectorAll("#table th button")][buttons.findIndex(
  (each) => each.textContent.startsWith(name))];
button("learning_rate").click();
said.push(first());
button("learning_rate").click();
said.push(first());
document.getElementById("next").click();
said.push(document.getElementById("table-count").textContent);
const words = document.getElementById("words");
words.value = "SGD momentum failed";
words.dispatchEvent(new Event("input"));
said.push(document.getElementById("table-count").textContent);
const soon = (condition) => new Promise((resolve) => {
  const look = () => (condition() ? resolve() : setTimeout(look, 50));
  look();
});
(async () => {
  await soon(() => document.documentElement.dataset.drawn);
  const axis = document.getElementById("value-axis");
  axis.value = "log";
  axis.dispatchEvent(new Event("change"));
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const plot = document.querySelector("#history canvas");
  const tip = document.querySelector(".tip");
  const send = (element, kind, x, y) => element.dispatchEvent(
    new PointerEvent(kind, { clientX: x, clientY: y, pointerId: 1, bubbles: true }));
  const box = plot.getBoundingClientRect();
  for (let x = box.x + 60; x < box.right && tip.style.display !== "block"; x += 20) {
    for (let y = box.y + 20; y < box.bottom - 60 && tip.style.display !== "block"; y += 20) {
      send(plot, "pointermove", x, y);
    }
  }
  said.push(tip.textContent);
  const curves = document.querySelector("#curves canvas");
  const middle = curves.getBoundingClientRect();
  for (const kind of ["pointerover", "pointermove"]) send(curves, kind, middle.x + middle.width / 3, middle.y + 200);
  said.push(tip.textContent);
  const [lines] = document.querySelectorAll("#parallel canvas");
  const parallel = lines.getBoundingClientRect();
  const before = lines.toDataURL();
  for (const kind of ["pointermove", "pointerdown"]) send(lines, kind, parallel.x + 90, parallel.y + 90);
  for (let y = 90; y < 200; y += 10) {
    for (const target of [lines, window]) send(target, "pointermove", parallel.x + 90, parallel.y + y);
  }
  for (const target of [lines, window]) send(target, "pointerup", parallel.x + 90, parallel.y + 200);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  said.push(String(before !== lines.toDataURL()));
  document.documentElement.dataset.said = JSON.stringify(said);
})();
</script>
"""


@pytest.mark.browser
def test_the_page_in_use(tmp_path: Path) -> None:
    """Sorting, paging, searching, another axis, what the pointer shows, a range of parallel coordinates."""
    make_experiment(tmp_path / "X001", 250, steps=27)
    page = page_of(tmp_path / "X001", tmp_path / "page.html")
    page.write_text(page.read_text().replace("\n</body>", f"{USE_THE_PAGE}</body>"))
    seen = open_page(page_address(page))
    assert seen.console == []
    assert 'data-problems="' not in seen.html.split("<body", 1)[0]
    said = json.loads(html.unescape(re.search(r'data-said="([^"]*)"', seen.html)[1]))  # type: ignore[index]
    lowest, highest, paged, found, pointed, at_a_step, ranges = said
    assert re.match(r"hpset_\d{5}step \d+: ", at_a_step)
    assert float(lowest) < 2e-5
    assert float(highest) > 0.09
    assert paged == "101 to 200 of 250 trials"
    assert re.fullmatch(r"1 to (\d+) of \1 trials", found)
    assert "hpset_" in pointed
    assert "learning_rate = " in pointed
    assert ranges == "true"


@pytest.mark.browser
def test_that_the_browser_would_report_errors_and_requests(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script>nothing.there</script>")
    assert any("nothing is not defined" in line for line in open_page(page_address(page)).console)
    page.write_text('<img src="http://example.org/x.png"><script>fetch("http://example.org/y")</script>')
    assert open_page(page_address(page)).console
    make_experiment(tmp_path / "X001", 20)
    text = page_of(tmp_path / "X001", page).read_text()
    page.write_text(text.replace("\n</body>", '<img src="http://example.org/x.png"></body>'))
    assert any("Content Security Policy" in line for line in open_page(page_address(page)).console)
