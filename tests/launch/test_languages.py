"""What a model script may rely on, in every language: each of these tests runs for each language."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.launch.command import model_command
from candle_hpo.launch.interpreter import find_interpreter
from candle_hpo.launch.run import run_attempt
from candle_hpo.process.group import StopSwitch
from candle_hpo.user_environment import user_environment
from conftest import Candle, gone, input_text
from support.attempts import attempt_at, stopped_when_it_prints

pytestmark = pytest.mark.slow

# A text that every language's quoting would like to get wrong.
ODD_TEXT = "a b'c\"d$HOME`id`$(id)\\n\\\\{x}é€😀%s;&|<>#*?~!\t.\nlast"


@dataclass(frozen=True)
class Speech:
    """How one language says what the tests need; `{}` is a number, text or code that a test fills in."""

    name: str
    script: str
    needs: tuple[str, ...]
    product: str  # leaves x times y
    leave: str  # leaves {} as it stands
    leave_text: str  # leaves the length and writes the text `t` to the file t.txt
    missing: str  # asks for the hyperparameter z
    exit_3_after_value: str
    kill_itself: str
    background: str  # starts `sleep 600`, prints its number, leaves 1
    moves: str  # changes its directory and leaves 1
    prints_much: str  # 100 MB, then leaves 1
    sleeps: str  # prints and then sleeps for ten minutes
    metrics: str  # leaves 1 and accuracy = 0.5, but not in bash
    breaks_in_line_3: str
    breaks_as: str


PYTHON = Speech(
    name="Python",
    script="model.py",
    needs=(sys.executable,),
    product="val_to_return = hyperparams['x'] * candle_params['y']",
    leave="val_to_return = {}",
    leave_text="open('t.txt', 'wb').write(hyperparams['t'].encode()); val_to_return = 1",
    missing="x = hyperparams['z']; val_to_return = 1",
    exit_3_after_value="import sys; val_to_return = 1; sys.exit(3)",
    kill_itself="import os; os.kill(os.getpid(), 9)",
    background="import subprocess; print(subprocess.Popen(['sleep', '600']).pid); val_to_return = 1",
    moves="import os; os.chdir('/'); val_to_return = 1",
    prints_much="line = 'x' * 999_999\nfor _ in range(100): print(line)\nval_to_return = 1",
    sleeps="import time; print('ready'); time.sleep(600)",
    metrics="val_to_return = {'val_to_return': 1, 'accuracy': 0.5}",
    breaks_in_line_3="def f():\n    # comment\n    raise ValueError('broken')\nf()",
    breaks_as='model.py", line 3, in f',
)
R = Speech(
    name="R",
    script="model.R",
    needs=("Rscript",),
    product="val_to_return <- hyperparams$x * candle_params[['y']]",
    leave="val_to_return <- {}",
    leave_text="f <- file('t.txt', 'wb'); writeBin(charToRaw(hyperparams$t), f); close(f); val_to_return <- 1",
    missing="x <- hyperparams$z; val_to_return <- 1",
    exit_3_after_value="val_to_return <- 1; quit(status = 3)",
    kill_itself="tools::pskill(Sys.getpid(), 9)",
    background="system('sleep 600 & echo $!'); val_to_return <- 1",
    moves="setwd('/'); val_to_return <- 1",
    prints_much="line <- strrep('x', 999999)\nfor (i in 1:100) cat(line, '\\n', sep = '')\nval_to_return <- 1",
    sleeps="cat('ready\\n'); flush(stdout()); Sys.sleep(600)",
    metrics="val_to_return <- list(val_to_return = 1, accuracy = 0.5)",
    breaks_in_line_3="f <- function() {\n    # comment\n    stop('broken')\n}\nf()",
    breaks_as="model.R:3: stop",
)
BASH = Speech(
    name="bash",
    script="model.sh",
    needs=("bash",),
    product='val_to_return=$(awk "BEGIN {printf \\"%.17g\\", $(candle_get_param x) * $(candle_get_param y)}")',
    leave="val_to_return={}",
    leave_text="candle_get_param t > t.with_newline; head -c -1 t.with_newline > t.txt; val_to_return=1",
    missing="set -e; x=$(candle_get_param z); val_to_return=1",
    exit_3_after_value="val_to_return=1; exit 3",
    kill_itself="kill -9 $$",
    background="sleep 600 & echo $!; val_to_return=1",
    moves="cd /; val_to_return=1",
    prints_much="line=$(head -c 999999 /dev/zero | tr '\\0' x)\nfor i in {1..100}; do echo $line; done;val_to_return=1",
    sleeps="echo ready; sleep 600",
    metrics="",
    breaks_in_line_3="set -e\n# comment\nno_such_program",
    breaks_as="model.sh: line 3: no_such_program",
)
C_MAIN = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char params[100000];
static double number(const char *name) {{
    char key[100];
    snprintf(key, sizeof key, "\\"%s\\": ", name);
    char *at = strstr(params, key);
    if (!at) {{ fprintf(stderr, "no %s\\n", name); exit(2); }}
    return atof(at + strlen(key));
}}
static void leave(const char *text) {{
    FILE *file = fopen(getenv("CANDLE_RESULT_FILE"), "w");
    fputs(text, file);
    fclose(file);
}}
int main(void) {{
    FILE *file = fopen(getenv("CANDLE_PARAMS_FILE"), "r");
    fread(params, 1, sizeof params - 1, file);
    fclose(file);
    char text[100];
    {}
    return 0;
}}
"""
C = Speech(
    name="C",
    script="model",
    needs=("cc",),
    product='snprintf(text, sizeof text, "%.17g", number("x") * number("y")); leave(text);',
    leave='leave("{}");',
    leave_text=(
        'char *t = strstr(params, "\\"t\\": ") + 5, *end = strstr(t, "\\",\\n");'
        'FILE *out = fopen("t.json", "w"); fwrite(t, 1, end - t + 1, out); fclose(out); leave("1");'
    ),
    missing='number("z"); leave("1");',
    exit_3_after_value='leave("1"); exit(3);',
    kill_itself="raise(SIGKILL);",
    background=(
        'int child = fork(); if (!child) {{ execlp("sleep", "sleep", "600", NULL); }} '
        'printf("%d\\n", child); leave("1");'
    ),
    moves='if (!chdir("/")) leave("1");',
    prints_much="for (long i = 0; i < 100000000; i++) putchar(i % 1000000 ? 'x' : 10);\nleave(\"1\");",
    sleeps='printf("ready\\n"); fflush(stdout); sleep(600);',
    metrics='leave("{{\\"val_to_return\\": 1, \\"accuracy\\": 0.5}}");',
    breaks_in_line_3="",
    breaks_as="",
)
LANGUAGES = [PYTHON, R, BASH, C]
SCRIPTS = [PYTHON, R, BASH]


class Runner:
    """Runs trials of a model in one language."""

    def __init__(self, language: Speech, here: Path) -> None:
        self.language, self.script = language, here / language.script
        self.paths = ExperimentPaths(here / "X000")
        self.paths.runs.mkdir(parents=True, exist_ok=True)
        self.switch = StopSwitch(grace=0.3)
        self.hyperparameters: dict[str, object] = {"x": 0.1, "y": 3}

    def write(self, code: str) -> None:
        if self.language is C:
            source = self.script.with_suffix(".c")
            source.write_text(C_MAIN.format(code.replace("{{", "{").replace("}}", "}")))
            subprocess.run(["cc", "-w", "-o", str(self.script), str(source)], check=True)
        else:
            self.script.write_text(code + "\n")

    def __call__(self, code: str, **settings: object) -> Outcome:
        self.write(code)
        control = Settings(model_script=str(self.script), workflow="grid", **settings)  # type: ignore[arg-type]
        interpreter = find_interpreter(control, ()).path
        model = model_command(control, interpreter, seed=5, experiment=self.paths.root)
        trial = attempt_at(3, self.hyperparameters, id="hpset_00004")
        return run_attempt(model, trial, self.paths.trial(trial.trial.id), {}, self.switch)

    @property
    def folder(self) -> Path:
        return self.paths.trial("hpset_00004").run

    @property
    def output(self) -> str:
        return (self.folder / "subprocess_out_and_err.txt").read_text()


def runner_of(language: Speech, here: Path) -> Runner:
    missing = [program for program in language.needs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{language.name} needs {', '.join(missing)} (Debian: apt-get install r-base-core gcc)")
    return Runner(language, here)


@pytest.fixture(params=LANGUAGES, ids=lambda language: language.name)
def run(request: pytest.FixtureRequest, here: Path) -> Runner:
    return runner_of(request.param, here)


@pytest.fixture(params=SCRIPTS, ids=lambda language: language.name)
def run_script(request: pytest.FixtureRequest, here: Path) -> Runner:
    return runner_of(request.param, here)


def test_the_value_is_exact(run: Runner) -> None:
    outcome = run(run.language.product)
    assert (outcome.status, outcome.value_of(THE_VALUE), outcome.reason) == (Status.COMPLETED, 0.1 * 3, "")


def test_odd_text_arrives_as_it_is(run: Runner) -> None:
    run.hyperparameters = {"t": ODD_TEXT, "odd name'": 1}
    assert run(run.language.leave_text).value_of(THE_VALUE) == 1, run.output
    if run.language is C:
        assert json.loads((run.folder / "t.json").read_text()) == ODD_TEXT
    else:
        assert (run.folder / "t.txt").read_bytes().decode() == ODD_TEXT


def test_no_value_is_a_failure(run: Runner) -> None:
    outcome = run(run.language.product.replace("val_to_return", "other").replace("leave(text);", ""))
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("it ended without a value; ")


@pytest.mark.parametrize("text", ["nan", "inf", "words"])
def test_what_is_not_a_finite_number_is_a_failure(run: Runner, text: str) -> None:
    spelled = {
        "Python": {"nan": "float('nan')", "inf": "1e999", "words": "'words'"},
        "R": {"nan": "NaN", "inf": "Inf", "words": "'words'"},
    }.get(run.language.name, {})
    outcome = run(run.language.leave.replace("{}", spelled.get(text, text)))
    assert outcome.status is Status.FAILED
    assert ("neither a number" if text == "words" and run.language is C else "val_to_return is") in outcome.reason
    assert text == "words" or "not a finite number" in outcome.reason


def test_an_exit_status_is_a_failure_whatever_the_value(run: Runner) -> None:
    outcome = run(run.language.exit_3_after_value)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "exit status 3")


def test_a_signal_is_a_failure(run: Runner) -> None:
    outcome = run(run.language.kill_itself)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "ended by signal SIGKILL")


def test_a_missing_hyperparameter_is_named(run: Runner) -> None:
    outcome = run(run.language.missing)
    assert outcome.status is Status.FAILED
    if run.language is not C:
        assert 'there is no hyperparameter "z" (there are: x, y); add it to &default_model' in outcome.reason


def test_a_file_that_lies_beside_the_script_and_not_in_the_trials_folder(run: Runner, here: Path) -> None:
    (here / "my data.csv").write_text("x\n1\n")
    outcome = run(
        {
            "Python": "open('my data.csv')",
            "R": "read.csv('my data.csv')",
            "bash": "set -e; cat 'my data.csv'",
            "C": 'if (!fopen("my data.csv", "r")) { perror("my data.csv"); return 1; }',
        }[run.language.name]
    )
    assert outcome.status is Status.FAILED
    assert outcome.reason.endswith(
        f"; my data.csv is in {here}: a trial runs in its own folder, so use the whole path in the script, "
        'or run_in="script" in the input file'
    )


def test_an_output_of_100_megabytes_is_kept(run: Runner) -> None:
    outcome = run(run.language.prints_much)
    assert outcome.value_of(THE_VALUE) == 1
    assert 99_000_000 < (run.folder / "subprocess_out_and_err.txt").stat().st_size < 101_000_000


def test_what_it_leaves_running_is_ended(run: Runner) -> None:
    outcome = run(run.language.background)
    assert outcome.value_of(THE_VALUE) == 1
    assert gone(int(run.output.split()[0]))


def test_it_may_change_its_directory(run: Runner) -> None:
    assert run(run.language.moves).value_of(THE_VALUE) == 1


def test_it_stops_when_asked(run: Runner) -> None:
    with stopped_when_it_prints(run.folder / "subprocess_out_and_err.txt", run.switch):
        assert run(run.language.sleeps).status is Status.INTERRUPTED


def test_other_metrics_are_kept(run: Runner) -> None:
    if run.language is BASH:
        return  # its variables hold no lists; a script can write CANDLE_RESULT_FILE itself
    outcome = run(run.language.metrics)
    assert (outcome.value_of(THE_VALUE), outcome.metrics) == (1, {THE_VALUE: 1, "accuracy": 0.5})


def test_an_error_names_the_real_file_and_line(run_script: Runner) -> None:
    outcome = run_script(run_script.language.breaks_in_line_3)
    assert outcome.status is Status.FAILED
    assert run_script.language.breaks_as in run_script.output
    assert "broken" in outcome.reason or "no_such_program" in outcome.reason


def test_what_prepare_exports_is_there(run: Runner) -> None:
    outcome = run(run.language.product, prepare="touch prepared; export FROM_PREPARE=1")
    assert outcome.value_of(THE_VALUE) == 0.1 * 3
    assert (run.folder / "prepared").exists()


def test_the_same_grid_gives_the_same_table_in_every_language(candle: Candle, here: Path) -> None:
    tables = []
    for language in LANGUAGES:
        runner = runner_of(language, here)
        runner.write(language.product)
        control = f'model_script="{language.script}"\nworkflow="grid"\nengine="local"\nnworkers=2'
        sets = "\n".join(f'{{"x": {x}}}' for x in (0.1, 1, 1e-7, -2.5, 123456789))
        (here / "x.in").write_text(input_text(control, "y = 0.3", sets))
        done = candle("submit-job", "x.in")
        assert done.returncode == 0, done.stdout + done.stderr
        assert candle("aggregate-results").returncode == 0
        rows = (here / "candle_generated_files" / "candle_results.csv").read_text().splitlines()
        tables.append([row.rsplit(",", 2)[0] for row in rows])  # without the durations
    assert all(table == tables[0] for table in tables)
    assert len(tables[0]) == 6


@pytest.fixture
def r(here: Path) -> Iterator[Runner]:
    yield runner_of(R, here)


@pytest.fixture
def bash(here: Path) -> Iterator[Runner]:
    yield runner_of(BASH, here)


def test_values_have_their_types_in_r(r: Runner) -> None:
    r.hyperparameters = {
        "whole": 2, "number": 0.1, "large": 2**40, "text": "a", "yes": True, "nothing": None,
        "numbers": [1, 2.5], "texts": ["a", "b"], "mixed": [1, "a", None], "empty": [], "object": {"a": {"b": [True]}},
    }  # fmt: skip
    script = """
        h <- hyperparams
        stopifnot(
          is.list(h), identical(h$whole, 2L), identical(h$number, 0.1), identical(h$large, 2^40),
          identical(h$text, "a"), identical(h$yes, TRUE), is.null(h$nothing), "nothing" %in% names(h),
          identical(h$numbers, c(1, 2.5)), identical(h$texts, c("a", "b")),
          identical(h$mixed, list(1L, "a", NULL)), identical(h$empty, list()),
          identical(h$object, list(a = list(b = TRUE))), identical(h[["whole"]], 2L), identical(h[[1]], 2L)
        )
        val_to_return <- length(h)
    """
    assert r(textwrap.dedent(script)).value_of(THE_VALUE) == 11, r.output


def test_habits_of_r_scripts(r: Runner) -> None:
    """Clearing the workspace, asking for the main script, options, printing without print, and quit."""
    script = """
        rm(list = ls())
        stopifnot(length(commandArgs(trailingOnly = TRUE)) == 0, !interactive())
        path <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
        main <- function() {
          stopifnot(basename(path) == "model.R", file.exists(path))
          val_to_return <<- hyperparams$y
        }
        "printed"
        tryCatch(stop("caught"), error = function(e) NULL)
        if (sys.nframe() == 0L) main()
        quit("no")
    """
    assert r(textwrap.dedent(script)).value_of(THE_VALUE) == 3
    assert r.output == '[1] "printed"\nNULL\n'


def test_an_error_within_r_itself_has_its_line(r: Runner) -> None:
    outcome = r('f <- function(x) {\n  y <- 1\n  sqrt("a")\n}\nf(1)')
    assert "model.R:5: f(1)" in r.output
    assert "model.R:3" in r.output
    assert "non-numeric argument" in outcome.reason


@pytest.mark.parametrize("option", ["traceback", "quote(cat('mine'))", "function() NULL"])
def test_a_failed_r_script_has_failed_whatever_its_error_option(r: Runner, option: str) -> None:
    outcome = r(f"options(error = {option})\nval_to_return <- 1\nstop('boom')\nval_to_return <- 2")
    assert (outcome.status, outcome.value_of(THE_VALUE)) == (Status.FAILED, None)


def test_libraries_of_r_are_added(r: Runner, here: Path) -> None:
    library = here / "library"
    library.mkdir()
    code = "val_to_return <- if (normalizePath(Sys.getenv('MINE')) %in% .libPaths()) 1 else 0"
    assert (
        r(code, supp_r_libs=str(library), prepare=f'export MINE="{library}"'.replace("$HOME", "\\$HOME")).value_of(
            THE_VALUE
        )
        == 1
    )


def test_habits_of_bash_scripts(bash: Runner) -> None:
    script = r"""
        set -euo pipefail
        [[ "${BASH_SOURCE[0]}" == "$0" ]] || exit 9     # the idiom for a main script
        [ "$(basename "$0")" = model.sh ] && [ $LINENO = 3 ]
        [ -z "${BASH_ENV-}" ]
        trap 'echo "left with $?"; rm -f scratch' EXIT INT
        touch scratch
        ( trap 'echo subshell' EXIT; val_to_return=7 )
        bash -c 'candle_get_param x' > from_child
        val_to_return=$(candle_get_param y)
        exit 0
    """
    assert bash(textwrap.dedent(script).strip()).value_of(THE_VALUE) == 3, bash.output
    assert bash.output == "subshell\nleft with 0\n"
    assert (bash.folder / "from_child").read_text() == "0.1\n"
    assert not (bash.folder / "scratch").exists()


def test_read_only_variables_of_the_script_are_not_in_our_way(bash: Runner) -> None:
    assert bash("readonly value=5 number=10 status=2\nval_to_return=4").value_of(THE_VALUE) == 4


@pytest.mark.parametrize("script", ["trap - EXIT", "trap '' EXIT", "trap EXIT", "trap 'true' 0", "trap", "trap -p"])
def test_no_trap_of_the_script_loses_the_value(bash: Runner, script: str) -> None:
    assert bash(f"val_to_return=5\n{script}").value_of(THE_VALUE) == 5


def test_a_value_that_a_trap_leaves_is_the_value(bash: Runner) -> None:
    assert bash("val_to_return=1\nleave() { val_to_return=8; }\ntrap leave EXIT").value_of(THE_VALUE) == 8
    assert bash("trap 'val_to_return=9; exit 0' EXIT\nval_to_return=1").value_of(THE_VALUE) == 1
    assert bash("trap leave EXIT\nval_to_return=1\nleave() { false; }").value_of(THE_VALUE) == 1


def test_the_status_within_a_trap_is_the_scripts_own(bash: Runner) -> None:
    outcome = bash("set -e\ntrap 'echo got $?' EXIT\nval_to_return=1\nexit 7")
    assert outcome.reason == "exit status 7; last output: got 7"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("grep -q x /dev/null", "ready / candle: set -e ended the script, at or after: grep -q x /dev/null"),
        ("f() { [ -e nothing ]; }; f", "ready / candle: set -e ended the script, at or after: [ -e nothing ]"),
        ("(exit 1)", "ready / candle: set -e ended the script, at or after: echo ready"),
        ("exit 1", "ready"),
        ("f() { return 1; }; f", "ready"),
        ("set +e; false", "ready"),
        ("if false; then :; fi; [ -e nothing ] || exit 1", "ready"),
    ],
)
def test_what_set_e_ended_a_script_for_is_said(bash: Runner, script: str, reason: str) -> None:
    assert bash(f"set -e\necho ready\n{script}").reason == f"exit status 1; last output: {reason}"


def test_the_bits_of_a_whole_number_of_64_are_not_a_number(r: Runner) -> None:
    """`fread` and databases return these; only the package bit64 converts them."""
    outcome = r("val_to_return <- structure(3e-323, class = 'integer64')")
    assert outcome.status is Status.FAILED and "(integer64), not a number" in outcome.reason


def test_an_array_is_not_a_number(bash: Runner) -> None:
    outcome = bash("val_to_return=(0.1 0.2)")
    assert (outcome.status, outcome.reason) == (Status.FAILED, 'val_to_return is "0.1 0.2", not a number')


def test_the_users_own_bash_env_is_kept(bash: Runner, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "mine.sh").write_text("from_mine() { echo 6; }\n")
    monkeypatch.setitem(user_environment(), "BASH_ENV", str(here / "mine.sh"))
    assert bash('[ "$(basename "$BASH_ENV")" = mine.sh ]\nval_to_return=$(from_mine)').value_of(THE_VALUE) == 6


def test_a_program_that_cannot_be_started_says_so(here: Path) -> None:
    runner = Runner(C, here)
    runner.script.write_text("no program")
    runner.script.chmod(0o755)
    control = Settings(model_script=str(runner.script), workflow="grid")
    model = model_command(control, str(runner.script), seed=5, experiment=runner.paths.root)
    outcome = run_attempt(model, attempt_at(0, id="a"), runner.paths.trial("a"), {}, runner.switch)
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("it cannot be started: it is neither a program")


def test_nothing_of_ours_is_in_the_models_environment(bash: Runner) -> None:
    """What the model has, and the user who submits has not, is what the documentation lists."""
    assert bash("env -0 > environment; val_to_return=1").value_of(THE_VALUE) == 1
    seen = dict(line.split("=", 1) for line in (bash.folder / "environment").read_text().split("\0") if "=" in line)
    ours = {name for name in seen if user_environment().get(name) != seen[name]} - {"_", "SHLVL", "PWD", "OLDPWD"}
    documented = {"CANDLE_TRIAL_ID", "CANDLE_TRIAL_NUMBER", "CANDLE_SEED", "CANDLE_PARAMS_FILE", "CANDLE_RESULT_FILE"}
    documented |= {"CANDLE_EXPERIMENT_DIR", "CANDLE_CHECKPOINT_DIR", "CANDLE_REPORTS_FILE"}
    documented |= {"BASH_FUNC_candle_get_param%%", "BASH_FUNC_candle_report%%"}
    threads = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"}
    assert documented <= ours <= documented | threads
    assert set(user_environment()) - {"_"} <= set(seen)
