"""Every path of an experiment. Nobody else joins path strings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GENERATED_FILES = "candle_generated_files"
EXPERIMENTS = "experiments"
LAST_EXPERIMENT = "last-candle-job"
OUTPUT_NAME = "subprocess_out_and_err.txt"


class File:
    """A file, or a folder, of a trial or of an experiment, by its name; the docstring of each says what it holds.

    Its path is made when it is first asked for, and kept with its owner's fields: a trial asks for some of them often.
    """

    def __init__(self, name: str, holds: str) -> None:
        self.name, self.__doc__ = name, holds

    def __set_name__(self, kind: type, attribute: str) -> None:
        self._attribute = attribute

    def __get__(self, owner: TrialPaths | ExperimentPaths, kind: type) -> Path:
        path = (owner.root if isinstance(owner, ExperimentPaths) else owner.run) / self.name
        vars(owner)[self._attribute] = path
        return path


@dataclass(frozen=True)
class TrialPaths:
    """The files of one trial: its run folder, and its checkpoints, which every attempt and all of its line share."""

    run: Path
    checkpoint: Path
    output: Path

    hyperparameters = File("params.json", "The hyperparameters as JSON, for the model.")
    command = File("command.sh", "What ran, to be pasted into a shell: folder, variables, command line.")
    result_by_hand = File("by_hand.json", "What is left as a value where `command.sh` is run by hand.")
    reports_by_hand = File("by_hand.jsonl", "What is reported on the way where `command.sh` is run by hand.")
    reported = File("reported_result.json", "What the model reports: a number, or a JSON object with `val_to_return`.")
    reports = File(
        "reports.jsonl",
        "What the last attempt reported on its way, one JSON object a line; of very many lines, a choice.",
    )
    reports_unread = File(
        "reports.of_model.jsonl", "What a model reports though `result_pattern` or `result_file` is set; not read."
    )
    reports_left_out = File("reports.left_out.txt", "Why a report of the last attempt was left out; the first of them.")
    copy_of_script = File("script", 'With `run_in="script"`: a copy of the script\'s folder, the working directory.')
    outcome = File("outcome.json", "How the last attempt ended.")
    result = File("result.txt", "The value alone, only when completed.")

    def output_of_attempt(self, attempt: int) -> Path:
        """Where the output of an earlier attempt is kept."""
        return self.output.with_name(f"{self.output.stem}.attempt_{attempt}{self.output.suffix}")


# What candle writes into a trial's folder, whose model may not find its own files there.
NAMES_OF_CANDLE = {each.name for each in vars(TrialPaths).values() if isinstance(each, File)} - {"script"}
NAMES_OF_CANDLE |= {OUTPUT_NAME, "params.R", "params.sh"}


@dataclass(frozen=True)
class ExperimentPaths:
    """The files of one experiment, below its folder `root`."""

    root: Path

    input_file = File("input.in", "The input file as submitted.")
    settings = File(
        "experiment.json", "The validated settings, versions, host, command line: what is needed to run it again."
    )
    script = File("script", "The model script as submitted, with the modules beside it that it imports.")
    parameter_sets = File("parameter_sets.jsonl", "A grid's sets, complete, one JSON object a line.")
    search_space = File(
        "search_space.json", "The parameters of a `bayesian` or `random` search, as they were understood."
    )
    earlier_results = File(
        "earlier_results.jsonl",
        "Results of an earlier experiment that the search began with (`warm_start`), one JSON object a line.",
    )
    record = File("events.jsonl", "The append-only event log.")
    lock = File("campaign.lock", "Who runs the experiment now; not there while nobody does.")
    log = File("campaign.log", "What happened to the campaigns: for whoever has to find out why a machine misbehaves.")
    job_script = File("job.sbatch", "On a cluster: what was submitted.")
    job_output = File("job.out", "On a cluster: what the job printed; of several, each has its own (`job.4711.out`).")
    runs = File("run", "The folder of all trials.")

    def script_version(self, version: str) -> Path:
        """Return where the script is kept as it was when the experiment was resumed with another version of it."""
        return self.script / version

    def results(self, format_name: str) -> Path:
        """Where `candle aggregate-results` writes its table; in the folder itself if that was moved away."""
        return self._beside_experiments / f"candle_results.{format_name}"

    @property
    def report(self) -> Path:
        """Where `candle report` writes its page."""
        return self._beside_experiments / f"{self.root.name}_report.html"

    @property
    def figures(self) -> Path:
        """The folder where `candle report` writes figures."""
        return self._beside_experiments / f"{self.root.name}_figures"

    def export(self, suffix: str) -> Path:
        """Where `candle export` writes."""
        return self._beside_experiments / f"{self.root.name}{suffix}"

    @property
    def _beside_experiments(self) -> Path:
        at_home = self.root.parent.name == EXPERIMENTS
        return self.root.parent.parent if at_home else self.root

    def trial(self, trial_id: str, id_of_line: str = "") -> TrialPaths:
        """Return the paths of one trial; its checkpoints are those of its line, where it continues another trial."""
        run = self.runs / trial_id
        checkpoint = self.root / "checkpoints" / (id_of_line or trial_id)
        return TrialPaths(run=run, checkpoint=checkpoint, output=run / OUTPUT_NAME)


def is_there(path: Path) -> bool:
    """Return whether there is something at a path, or at a text that may not be a path at all."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def meant_instead(path: Path, otherwise: str) -> str:
    """Return the end of a message about a path at which nothing is: a name that is there and near, else that text."""
    import difflib  # only a mistake waits for it

    gone = path.absolute()
    while not is_there(gone.parent):
        gone = gone.parent
    try:
        names = [each.name for each in gone.parent.iterdir()]
    except (OSError, ValueError):
        names = []
    close = difflib.get_close_matches(gone.name, names, n=1, cutoff=0.8)
    return f'did you mean "{close[0]}"?' if close and close[0] != gone.name else otherwise


def experiments_folder(directory: Path) -> Path:
    """Return the folder that holds the experiments submitted from `directory`."""
    return directory / GENERATED_FILES / EXPERIMENTS


def folders_submitted_from(experiment: Path) -> list[Path]:
    """Return where the user stood who submitted the experiment of this folder; nothing where it was moved away."""
    return [each.parent for each in experiment.parents if each.name == GENERATED_FILES][:1]


def check_run_paths(directory: Path) -> TrialPaths:
    """Return the paths of the one trial that `candle check --run` runs, in its own folder."""
    run = directory / GENERATED_FILES / "check_run"
    return TrialPaths(run=run, checkpoint=run / "checkpoints", output=run / OUTPUT_NAME)


def init_run_paths(directory: Path) -> TrialPaths:
    """Return the paths of the one run with its defaults by which `candle init --run` learns what a script measures."""
    run = directory / GENERATED_FILES / "init_run"
    return TrialPaths(run=run, checkpoint=run / "checkpoints", output=run / OUTPUT_NAME)


def single_run_paths(directory: Path) -> TrialPaths:
    """Return the paths of a run with `run_workflow=0`: its output lies where the user stands."""
    run = directory / GENERATED_FILES / "single_run"
    return TrialPaths(run=run, checkpoint=run / "checkpoints", output=directory / OUTPUT_NAME)
