"""Which variables SLURM's programs and the models see. No SLURM is needed here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from candle_hpo.engine.batch.slurm_environment import (
    for_models,
    for_our_step,
    for_questions,
    for_submission,
    not_followed,
)

SHELL = {
    "PATH": "/bin",
    "OMPI_MCA_btl": "self",
    "HOME": "/home/ada",
    "LC_ALL": "C.UTF-8",
    "BASH_FUNC_module%%": "() { :; }",
}
SETTINGS = {"SLURM_CONF": "/etc/slurm.conf", "SLURM_JWT": "token"}
SCRIPT = "#!/bin/bash -p\n#SBATCH --job-name=candle_X000\n#SBATCH --nice=5 '--comment=a b'\n\nexec python\n"

# As `salloc --gpus=1 --ntasks=1`, `srun --pty bash` and profiles of the shell leave them.
OF_OTHERS = {
    "SLURM_STEPMGR": "n9",
    "SLURM_JOB_ID": "1", "SLURM_GPUS": "1", "SLURM_NTASKS": "1", "SLURM_MEM_PER_NODE": "100", "SLURM_STEP_ID": "0",
    "SLURM_CONSTRAINT": "none", "SLURM_LABELIO": "1", "SLURM_TRES_PER_TASK": "cpu=1", "SLURM_EXPORT_ENV": "NONE",
    "SLURM_SOMETHING_NEW": "1", "SLURMD_NODENAME": "n9", "SLURM_HINT": "nomultithread", "SLURM_EXIT_ERROR": "7",
    "SBATCH_ARRAY_INX": "1-3", "SBATCH_EXPORT": "NONE", "SBATCH_TIMELIMIT": "1", "SBATCH_WAIT": "", "SBATCH_GPUS": "4",
    "SBATCH_SOMETHING_NEW": "1", "SPANK_OPTION": "x", "_SLURM_SPANK_OPTION_x_y": "1", "SRUN_DEBUG": "3",
    "PMI_RANK": "0", "PMIX_NAMESPACE": "slurm.pmix.1.0", "SHELLOPTS": "errexit",
    "OMPI_COMM_WORLD_SIZE": "4", "OMPI_UNIVERSE_SIZE": "4", "MPI_LOCALRANKID": "1", "PALS_RANKID": "1",
}  # fmt: skip
FOR_PROGRAMS = {
    "SQUEUE_PARTITION": "gpu", "SQUEUE_FORMAT2": "JobID", "SCANCEL_INTERACTIVE": "", "SINFO_FORMAT": "%N",
    "SCONTROL_FUTURE": "", "SACCT_FORMAT": "JobID", "SRUN_CPUS_PER_TASK": "4", "SALLOC_ACCOUNT": "lab",
    "SLURM_MPI_TYPE": "pmix", "SLURM_TIME_FORMAT": "relative", "PMIX_MCA_psec": "native",
}  # fmt: skip
OF_PEOPLE = {"SBATCH_ACCOUNT": "lab", "SBATCH_PARTITION": "long", "SBATCH_QOS": "high", "SLURM_CLUSTERS": "other"}


def test_a_question_to_slurm_is_the_one_that_we_ask() -> None:
    everything = SHELL | SETTINGS | OF_OTHERS | FOR_PROGRAMS | OF_PEOPLE | {"BASH_ENV": "/etc/noise"}
    assert for_questions(everything) == {k: v for k, v in SHELL.items() if "FUNC" not in k} | SETTINGS


def test_a_submission_asks_for_what_the_experiment_asks_for() -> None:
    """What people set for all their jobs passes, and what their models find: it is the environment of their shell."""
    theirs = SHELL | SETTINGS | FOR_PROGRAMS | OF_PEOPLE | {"BASH_ENV": "/etc/noise", "PYTHONPATH": "/lib"}
    assert for_submission(theirs | OF_OTHERS, SCRIPT) == theirs


def test_what_somebody_has_set_for_sbatch_in_vain_is_known() -> None:
    ignored = [
        "SBATCH_ARRAY_INX",
        "SBATCH_EXPORT",
        "SBATCH_GPUS",
        "SBATCH_SOMETHING_NEW",
        "SBATCH_TIMELIMIT",
        "SBATCH_WAIT",
    ]
    assert not_followed(SHELL | SETTINGS | OF_OTHERS | FOR_PROGRAMS | OF_PEOPLE) == ignored


@pytest.mark.parametrize(
    ("line", "without"),
    [
        ("#SBATCH --account=other", {"SBATCH_ACCOUNT"}),
        ("#SBATCH --nice -Aother '-p' gpu", {"SBATCH_ACCOUNT", "SBATCH_PARTITION"}),
        ("#SBATCH -M there", {"SLURM_CLUSTERS"}),
    ],
)
def test_the_job_script_wins_over_the_environment(line: str, without: set[str]) -> None:
    """To SLURM, the environment wins over the lines of a job script."""
    script = SCRIPT.replace("\n\n", f"\n{line}\n\n", 1)
    assert set(OF_PEOPLE) - set(for_submission(OF_PEOPLE, script)) == without


JOB = {
    "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_CPUS_PER_TASK": "2", "SLURM_NTASKS": "4",
    "SLURM_TASKS_PER_NODE": "2(x2)", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NAME": "two words",
    "SLURM_MEM_PER_CPU": "1000", "SLURMD_NODENAME": "n1", "SLURM_JOB_GPUS": "0,1", "SLURM_CPUS_ON_NODE": "4",
    "SLURM_TRES_PER_TASK": "cpu=2", "CANDLE_SITE": "here",
}  # fmt: skip


def test_our_step_is_not_what_the_environment_would_make_of_it() -> None:
    job = JOB | {"SLURM_STEPMGR": "n1"}
    step = for_our_step(SHELL | SETTINGS | job | FOR_PROGRAMS | OF_PEOPLE | {"BASH_ENV": "/etc/noise"})
    slurms = {name for name in step if re.match("SLURM|SBATCH|SRUN|SQUEUE|PMI|BASH", name)}
    assert slurms == {"SLURM_CONF", "SLURM_JWT", "SLURM_JOB_ID", "SLURM_STEPMGR"}
    assert step["SLURM_JOB_ID"] == "7"


def test_a_model_sees_its_job_and_nothing_of_our_step() -> None:
    theirs = (
        SHELL | SETTINGS | FOR_PROGRAMS | {"BASH_ENV": "/etc/\udcff", "SBATCH_ACCOUNT": "lab", "TMPDIR": "/scratch"}
    )
    step = for_our_step(theirs | JOB)
    step |= {
        "SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_STEP_ID": "0", "SLURM_LABELIO": "1", "SLURM_CPU_BIND": "none",
        "SLURMD_NODENAME": "n2", "SLURM_CPUS_ON_NODE": "8", "SLURM_STEP_GPUS": "3", "PMI_RANK": "1", "SRUN_DEBUG": "3",
        "TMPDIR": "/scratch/7", "FROM_THE_PROLOG": "1", "CANDLE_OF_OURS": "1",
    }  # fmt: skip
    tasks = {"SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"}
    seen = theirs | {name: value for name, value in JOB.items() if name not in tasks}
    of_node = {"SLURMD_NODENAME": "n2", "SLURM_CPUS_ON_NODE": "8", "SLURM_JOB_GPUS": "3"}
    assert for_models(step) == seen | of_node | {"TMPDIR": "/scratch/7", "FROM_THE_PROLOG": "1"}


def test_an_environment_of_no_step_is_left_as_it_is() -> None:
    assert for_models(SHELL | JOB) == SHELL | JOB


def test_a_job_script_reads_no_bash_env_and_hands_on_what_bash_has(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "noise").write_text("echo noise; exit 3\n")
    environment = {
        "PATH": "/bin:/usr/bin",
        "BASH_ENV": str(tmp_path / "noise"),
        "BASH_FUNC_module%%": "() {  :\n}",
        "a.b": "1",
    }
    done = subprocess.run(
        [bash, "-p", "-c", "exec env -0"], env=environment, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.strip("\0").split("\0")) >= {f"{name}={value}" for name, value in environment.items()}
