"""The keywords of `&control`: names, what their values look like, and what they mean.

The defaults are those of `core.experiment.Settings`; `docs/keywords.md` is generated from both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from candle_hpo.inputfile import keyword_values as values
from candle_hpo.inputfile.argument_style import argument_style


@dataclass(frozen=True)
class Keyword:
    """One keyword: `read` turns its text into the value of the field of `Settings` of the same name."""

    name: str
    read: Callable[[str], object]
    meaning: str
    also: str | None = None
    default_shown: str | None = None


KEYWORDS = (
    Keyword(
        "model_script",
        values.existing_file,
        "what is run for each trial: a script in Python (`.py`), R (`.R`) or bash (`.sh`), or any executable program",
    ),
    Keyword(
        "workflow",
        values.one_of(("grid", "bayesian", "random")),
        "how hyperparameters are chosen: `grid` runs the listed sets, `bayesian` learns from what it has run, `random` "
        "draws them; see [Bayesian search](bayesian.md)",
    ),
    Keyword("nworkers", values.whole_number(1), "trials at a time", also="ngpus"),
    Keyword(
        "jobs",
        values.whole_number(1),
        "on a cluster: so many jobs share `nworkers`, and trials start with the first of them; see "
        "[several jobs](slurm.md#several-jobs)",
    ),
    Keyword(
        "worker_type",
        values.worker_type,
        "what a worker has: `cpu`, or a type of GPU such as `k80`; on one machine, any type stands for the "
        "GPUs that are there",
        also="gpu_type",
        default_shown="on one machine a GPU each, where there are any; on a cluster `cpu`",
    ),
    Keyword("trials_per_gpu", values.whole_number(1), "how many trials share a GPU, each on its own worker"),
    Keyword("gpus_per_trial", values.whole_number(1), "each worker has so many GPUs"),
    Keyword(
        "walltime",
        values.time,
        "`HH:MM:SS`, `HH:MM` or `D-HH:MM:SS`: time for the whole job on a cluster; nothing is cut short on one machine",
        default_shown="`00:05:00`",
    ),
    Keyword(
        "run_workflow",
        values.yes_or_no,
        "0: run the model once, now, here, with the default hyperparameters; 1: run the workflow",
        also="use_candle",
    ),
    Keyword("dry_run", values.yes_or_no, "1: read and check everything, show it, run nothing"),
    Keyword(
        "dl_backend",
        values.one_of(("keras", "pytorch")),
        "the deep-learning library that the script uses; a keyword of CANDLE's that changes nothing here",
    ),
    Keyword(
        "preload",
        values.python_modules,
        "Python modules that are imported once for all trials on a node, besides the known libraries at the top of "
        "the script; `none`: each trial starts a fresh interpreter; see "
        "[warm interpreters](model-scripts.md#warm-interpreters)",
    ),
    Keyword(
        "nthreads",
        values.whole_number(1),
        "CPUs per worker; `OMP_NUM_THREADS` and its like say so to the model, unless you set them",
    ),
    Keyword(
        "mem_per_cpu",
        values.size("gigabytes", "7 or 1.5", or_none=True),
        "gigabytes of memory per CPU, on a cluster; `0`: what the cluster gives by default",
    ),
    Keyword(
        "custom_sbatch_args",
        values.sbatch_arguments,
        "more arguments for `sbatch`, which win over what other keywords ask for, on a cluster",
    ),
    Keyword("queue", values.text, "partition, on a cluster", also="partition"),
    Keyword("project", values.text, "account, on a cluster", also="account"),
    Keyword("supp_modules", values.modules, "environment modules to load around the model"),
    Keyword("python_bin_path", values.folder, "folder of the Python that runs the model"),
    Keyword("exec_python_module", values.text, "environment module that provides Python"),
    Keyword("exec_r_module", values.text, "environment module that provides R"),
    Keyword("supp_pythonpath", values.folders, "folders added to the end of the model's `PYTHONPATH`"),
    Keyword("supp_r_libs", values.folders, "folders added to the end of the model's `R_LIBS`"),
    Keyword(
        "extra_script_args",
        values.arguments,
        "arguments for the interpreter, before the script: `-u -W ignore`, `--vanilla`",
    ),
    Keyword("prepare", values.text, "a bash line run in the trial's run folder before the model: `mkdir -p results`"),
    Keyword(
        "config_file",
        values.placed_file,
        "the script's own file of YAML, JSON, TOML, INI, `.env`, a Fortran namelist or Python, which may be the script "
        "itself, written for each trial with its values in their places, or any text with `{{ name }}`; see "
        "[configuration files](model-scripts.md#configuration-files)",
    ),
    Keyword(
        "stdin_file",
        values.placed_file,
        "what each trial reads on its standard input; hyperparameters are written into it as into `config_file`",
        default_shown="nothing",
    ),
    Keyword(
        "link",
        values.placed,
        "files and folders, separated by commas, to which each trial finds links in its folder; see "
        "[its folder](model-scripts.md#the-folder-of-a-trial)",
    ),
    Keyword(
        "run_in",
        values.one_of(("trial", "script")),
        "the working directory: the trial's own folder, or, with `script`, a private copy of the script's folder; see "
        "[its folder](model-scripts.md#the-folder-of-a-trial)",
    ),
    Keyword(
        "hyperparams_as",
        values.one_of(("variables", "arguments")),
        "`arguments`: the script is given the hyperparameters on its command line, `--batch-size 128`; see "
        "[command lines](command-lines.md)",
    ),
    Keyword(
        "script_args",
        values.arguments,
        "the arguments of the script: `{name}` is a hyperparameter's value, `{arguments}` are those of all others: "
        "`train {arguments} -o out`; see [command lines](command-lines.md)",
        default_shown="`{arguments}` with `hyperparams_as=arguments`",
    ),
    Keyword(
        "argument_style",
        argument_style,
        "what `{arguments}` look like, by an example: `--my_name=value`, `-p name value`, `name=value`, `+name=value`; "
        "booleans: `--flag/--no-flag`; and names of options: `batch_size:-b`",
        default_shown="`--my-name value`",
    ),
    Keyword(
        "model_command",
        values.model_command,
        "what starts the script, with `{script}`: `torchrun --nproc-per-node=4 {script}`, `python -m pkg.train`; see "
        "[command lines](command-lines.md#what-starts-the-script)",
        default_shown="the interpreter of its language",
    ),
    Keyword(
        "result_pattern",
        values.pattern,
        "a regular expression (Python's); the value is its last match in the output, or what its group matched there; "
        "with `result_file`, in that file",
    ),
    Keyword(
        "result_file",
        values.file_in_run_folder,
        "a file that the script writes, with the value in it: JSON, CSV, TSV, TensorBoard's events, or with "
        "`result_pattern` any text; in `checkpoint-*/trainer_state.json` the last one by the numbers in its name",
    ),
    Keyword(
        "result_key",
        values.text,
        "where in `result_file` the value is: a name in JSON (`test.loss`, `log_history[*].eval_loss`), a column of a "
        "CSV file, a tag of TensorBoard's",
    ),
    Keyword(
        "result_from",
        values.result_from,
        "which of several matches, rows or reports is the value: `last`, `best` (by `direction`), `first`, or the mean "
        "of the last ones, `mean_of_last_5`; see [which one is the value](model-scripts.md#which-one-is-the-value)",
        default_shown="`last` of matches and rows; what a script reports is not its value",
    ),
    Keyword(
        "default_model_file",
        values.existing_file,
        "a `[Global Params]` file in place of `&default_model`",
        also="candle_default_model_file",
    ),
    Keyword(
        "param_space_file",
        values.existing_file,
        "a file in place of `&param_space`",
        also="candle_param_space_file",
    ),
    Keyword("design_size", values.whole_number(1), "bayesian: points spread over the space before the search learns"),
    Keyword(
        "propose_points",
        values.whole_number(1),
        "bayesian: trials at a time after those, as far as there are workers",
        default_shown="`10`, or `nworkers` where that is more",
    ),
    Keyword(
        "max_iterations", values.whole_number(1), "bayesian: at most so many times `propose_points` trials after those"
    ),
    Keyword("max_budget", values.whole_number(1), "bayesian, random: at most so many trials in all"),
    Keyword(
        "sampler",
        values.one_of(("candle", "tpe", "gp", "cmaes", "qmc", "random")),
        "bayesian: what proposes: candle's Gaussian process, or a sampler of Optuna's; see "
        "[other samplers](bayesian.md#other-samplers)",
    ),
    Keyword(
        "proposals",
        values.one_of(("asynchronous", "batch")),
        "bayesian: `asynchronous`: a worker that is free gets the next point at once; `batch`: `propose_points` at a "
        "time, and all wait for the last of them, as in CANDLE",
    ),
    Keyword(
        "warm_start",
        values.text,
        "bayesian: an earlier experiment, or a CSV file of results, of the same parameters, known to the search from "
        "the start",
    ),
    Keyword("restart_from_exp", values.text, "continue an earlier experiment of this folder"),
    Keyword(
        "engine",
        values.one_of(("auto", "local", "slurm")),
        "where trials run: `slurm` is a job on the cluster, `local` this machine; `auto`: SLURM where `sbatch` is "
        "found, else this machine",
    ),
    Keyword(
        "objectives",
        values.objectives,
        "the name of what is optimized, among several that a script reports, returns, or that the named groups of "
        "`result_pattern` find; see [which one is the value](model-scripts.md#which-one-is-the-value)",
        default_shown="what has no name, or stands at `result_key`, or in the first named group",
    ),
    Keyword("direction", values.direction, "`minimize` or `maximize` the value that the model returns"),
    Keyword(
        "stopping",
        values.stopping,
        "what stops a trial early: `asha`, `median` or `best_few`, by what it reports on its way; `nan`: a value that "
        "is not a number; `asha, nan`: both; see [early stopping](early-stopping.md)",
        default_shown="`none`",
    ),
    Keyword(
        "min_steps",
        values.whole_number(1),
        "stopping: no trial is stopped before so many steps",
        default_shown="about a sixth of a whole trial, once its length is known",
    ),
    Keyword(
        "max_steps",
        values.whole_number(1),
        "stopping: how many steps a whole trial has",
        default_shown="what the longest trial that has completed had",
    ),
    Keyword(
        "reduction_factor",
        values.whole_number(2),
        "stopping=asha: one in so many trials continues from a step to that which is so many times as far; fidelity: "
        "one in so many configurations is run again, with so many times as much",
    ),
    Keyword(
        "fidelity",
        values.fidelity,
        "a hyperparameter that says how much a trial costs, its least and its most: with `epochs 3 81`, all "
        "configurations are run with the least, and the best of them again with more; see "
        "[fidelity](early-stopping.md#scripts-that-say-nothing-on-their-way-fidelity)",
    ),
    Keyword(
        "seed",
        values.whole_number(0),
        "makes the seeds of the trials repeatable",
        default_shown="drawn, and kept in `experiment.json`",
    ),
    Keyword("trial_timeout", values.time, "time for one attempt at a trial, in the forms of `walltime`"),
    Keyword(
        "on_timeout",
        values.one_of(("fail", "take_value")),
        "`take_value`: a trial that runs longer than `trial_timeout` has the value that it has measured so far; see "
        "[which one is the value](model-scripts.md#which-one-is-the-value)",
    ),
    Keyword(
        "max_output",
        values.size("megabytes", "100 or 0.5"),
        "megabytes that one attempt at a trial may print; one that prints more is ended and has failed",
    ),
    Keyword(
        "retries",
        values.whole_number(0),
        "how often a trial that the machine interrupted is attempted again in one run",
    ),
    Keyword(
        "retry_failed",
        values.whole_number(0),
        "how often a trial that the model failed is attempted again in one run; see [reliability](reliability.md)",
    ),
    Keyword(
        "max_failures",
        values.whole_number(0),
        "start no more trials once so many have failed in one run; 0: never stop for that",
        default_shown="stop when the first 10 trials have all failed in the same way",
    ),
    Keyword(
        "auto_resubmit",
        values.yes_or_no,
        "1: when the walltime ends with trials left, continue in a new job, until all are done or a job completes none",
    ),
)

BY_NAME = {keyword.name: keyword for keyword in KEYWORDS} | {
    keyword.also: keyword for keyword in KEYWORDS if keyword.also
}
