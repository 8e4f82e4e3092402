"""Every path of an experiment. Nobody else joins path strings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GENERATED_FILES = "candle_generated_files"
EXPERIMENTS = "experiments"
LAST_EXPERIMENT = "last-candle-job"


@dataclass(frozen=True)
class TrialPaths:
    """The files of one trial: its run folder, and its checkpoints, which every attempt shares."""

    run: Path
    checkpoint: Path
    output: Path

    @property
    def hyperparameters(self) -> Path:
        """The hyperparameters as JSON, for the model."""
        return self.run / "params.json"

    @property
    def reported(self) -> Path:
        """What the model reports: a number, or a JSON object with `val_to_return`."""
        return self.run / "reported_result.json"

    @property
    def outcome(self) -> Path:
        """How the last attempt ended."""
        return self.run / "outcome.json"

    @property
    def result(self) -> Path:
        """The value alone, only when completed."""
        return self.run / "result.txt"

    def output_of_attempt(self, attempt: int) -> Path:
        """Where the output of an earlier attempt is kept."""
        return self.output.with_name(f"{self.output.stem}.attempt_{attempt}{self.output.suffix}")


OUTPUT_NAME = "subprocess_out_and_err.txt"


@dataclass(frozen=True)
class ExperimentPaths:
    """The files of one experiment, below its folder `root`."""

    root: Path

    @property
    def input_file(self) -> Path:
        """The input file as submitted."""
        return self.root / "input.in"

    @property
    def settings(self) -> Path:
        """The validated settings, versions, host, command line: what is needed to run it again."""
        return self.root / "experiment.json"

    @property
    def script(self) -> Path:
        """The model script as submitted, with the modules beside it that it imports."""
        return self.root / "script"

    def script_version(self, version: str) -> Path:
        """Return where the script is kept as it was when the experiment was resumed with another version of it."""
        return self.script / version

    @property
    def parameter_sets(self) -> Path:
        """A grid's sets, complete, one JSON object a line."""
        return self.root / "parameter_sets.jsonl"

    @property
    def search_space(self) -> Path:
        """The parameters of a `bayesian` or `random` search, as they were understood."""
        return self.root / "search_space.json"

    @property
    def earlier_results(self) -> Path:
        """Results of an earlier experiment that the search began with (`warm_start`), one JSON object a line."""
        return self.root / "earlier_results.jsonl"

    @property
    def record(self) -> Path:
        """The append-only event log."""
        return self.root / "events.jsonl"

    @property
    def lock(self) -> Path:
        """Who runs the experiment now; not there while nobody does."""
        return self.root / "campaign.lock"

    @property
    def log(self) -> Path:
        """What happened to the campaigns: for whoever has to find out why a machine misbehaves."""
        return self.root / "campaign.log"

    @property
    def job_script(self) -> Path:
        """On a cluster: what was submitted."""
        return self.root / "job.sbatch"

    @property
    def job_output(self) -> Path:
        """On a cluster: what the job printed."""
        return self.root / "job.out"

    @property
    def jobs(self) -> Path:
        """On a cluster: the numbers of the jobs that were submitted, the last one last."""
        return self.root / "jobs.json"

    @property
    def runs(self) -> Path:
        """The folder of all trials."""
        return self.root / "run"

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

    def trial(self, trial_id: str) -> TrialPaths:
        """Return the paths of one trial."""
        run = self.runs / trial_id
        return TrialPaths(run=run, checkpoint=self.root / "checkpoints" / trial_id, output=run / OUTPUT_NAME)


def is_there(path: Path) -> bool:
    """Return whether there is something at a path, or at a text that may not be a path at all."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


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


def single_run_paths(directory: Path) -> TrialPaths:
    """Return the paths of a run with `run_workflow=0`: its output lies where the user stands."""
    run = directory / GENERATED_FILES / "single_run"
    return TrialPaths(run=run, checkpoint=run / "checkpoints", output=directory / OUTPUT_NAME)
