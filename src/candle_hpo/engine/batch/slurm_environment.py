"""What SLURM's programs, our own step and the models see of SLURM's variables. Pure functions.

Almost every option of SLURM's programs is also a variable of the environment, which wins over a job script, and what a
job says of itself has the same names as what is asked of `srun`: each new version brings more of them. So none is
inherited because it is not known to do harm. What passes is listed here, for each program that we run; and a model has
the variables of the job's batch step, not those of the step in which our workers are. (The manuals of sbatch, srun,
squeue, scancel, sinfo and scontrol, 22.05 and 24.11: "INPUT ENVIRONMENT VARIABLES", "OUTPUT ENVIRONMENT VARIABLES".)
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import zlib
from collections.abc import Mapping

from candle_hpo.core.sbatch_arguments import read_arguments

# Variables of SLURM, of its programs, of their plugins, and what says to a process that it is one of several.
_SLURMS = re.compile(
    r"_?SLURM\w*|(?:SACCT|SACCTMGR|SALLOC|SATTACH|SBATCH|SBCAST|SCANCEL|SCONTROL|SDIAG|SINFO|SPRIO|SQUEUE|SREPORT|SRUN"
    r"|SSHARE|SSTAT|STRIGGER)_\w+|SPANK_\w+|PMI\w*"
    r"|OMPI_(?:COMM_WORLD|UNIVERSE|APP_CTX)_\w+|MPI_LOCAL\w+|MV2_COMM_WORLD_\w+|PALS_\w+"
)
# What makes a shell of ours do other things than it says: a file that it reads first, options, functions.
_SHELLS = re.compile(r"BASH_ENV|ENV|SHELLOPTS|BASHOPTS|BASH_FUNC_.*")

# How SLURM is reached and who asks; and which job it is of which `srun` starts a step, and who manages its steps.
_CONTACT = re.compile(r"SLURM_(?:CONF|CONF_SERVER|JWT|SACK_\w+)")
_OF_OUR_JOB = ("SLURM_JOB_ID", "SLURM_JOB_SLUID", "SLURM_STEPMGR")

# What a person, or a site for all, sets for the jobs they submit: whose they are and where they are to run. A keyword
# and an argument of the experiment's win over it. What a job consists of is the experiment's alone.
_OF_SUBMISSION = {
    "SBATCH_ACCOUNT": "--account",
    "SBATCH_CLUSTERS": "--clusters",
    "SBATCH_CONSTRAINT": "--constraint",
    "SBATCH_PARTITION": "--partition",
    "SBATCH_QOS": "--qos",
    "SBATCH_RESERVATION": "--reservation",
    "SBATCH_WCKEY": "--wckey",
    "SLURM_CLUSTERS": "--clusters",
}
# What sbatch does not read, and a model may want: for programs of SLURM that it runs itself.
_FOR_MODELS = re.compile(
    r"SLURM_(?:MPI_TYPE|TIME_FORMAT)|PMIX_MCA_\w+|SRUN_(?!DEBUG)\w+"
    r"|(?:SACCT|SACCTMGR|SALLOC|SCANCEL|SCONTROL|SINFO|SPRIO|SQUEUE|SREPORT|SSHARE|SSTAT)_\w+"
)

# Which task of the job a process is, and of how many. A trial is none: a library for distributed training, or one for
# MPI, would take the job's workers for its own processes, and wait for them.
_OF_TASKS = re.compile(r"SLURM_(?:NTASKS|NPROCS|NTASKS_PER_\w+|PROCID|LOCALID|NODEID|GTIDS|TASK_PID)")

# What differs from node to node, and what the step, which has all that the job has on a node, calls it there.
_OF_THE_NODE = {
    "SLURMD_NODENAME": "SLURMD_NODENAME",
    "SLURM_CPUS_ON_NODE": "SLURM_CPUS_ON_NODE",
    "SLURM_GPUS_ON_NODE": "SLURM_GPUS_ON_NODE",
    "SLURM_JOB_GPUS": "SLURM_STEP_GPUS",
    "SLURM_SHARDS_ON_NODE": "SLURM_SHARDS_ON_NODE",
    "SLURM_TOPOLOGY_ADDR": "SLURM_TOPOLOGY_ADDR",
    "SLURM_TOPOLOGY_ADDR_PATTERN": "SLURM_TOPOLOGY_ADDR_PATTERN",
}

_HANDED = "CANDLE_ENVIRONMENT_OF_JOB"  # what of a job's environment is kept from our step, and is for the models


def for_questions(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a program of SLURM sees that is asked something, or asked to cancel a job."""
    return {name: value for name, value in environment.items() if not _is_kept_from_programs(name)}


def for_submission(environment: Mapping[str, str], script: str) -> dict[str, str]:
    """Return what `sbatch` sees, and the job inherits, for a job script of ours: the options that it names win."""
    words = [word for line in re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE) for word in shlex.split(line)]
    named = {argument.name for argument in read_arguments(words)}

    def passes(name: str) -> bool:
        if name in _OF_SUBMISSION:
            return _OF_SUBMISSION[name] not in named
        if name in ("SHELLOPTS", "BASHOPTS"):
            return False
        return not _SLURMS.fullmatch(name) or bool(_CONTACT.fullmatch(name) or _FOR_MODELS.fullmatch(name))

    return {name: value for name, value in environment.items() if passes(name)}


def not_followed(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that somebody has set for `sbatch`, and that it does not see here."""
    return sorted(name for name in environment if name.startswith("SBATCH_") and name not in _OF_SUBMISSION)


def for_our_step(job: Mapping[str, str]) -> dict[str, str]:
    """Return what the `srun` of our workers sees, from the environment of the job's batch step."""
    passes = for_questions(job) | {name: job[name] for name in _OF_OUR_JOB if name in job}
    kept = {name: value for name, value in job.items() if _is_restored(name)}
    passes[_HANDED] = base64.b64encode(zlib.compress(json.dumps(kept).encode())).decode()
    return passes


def for_models(step: Mapping[str, str]) -> dict[str, str]:
    """Return what a model sees on a node, from the environment of our step there: the job's variables, not the step's.

    Where the environment is none of a step of ours, it is returned as it is.
    """
    if _HANDED not in step:
        return dict(step)
    job: dict[str, str] = json.loads(zlib.decompress(base64.b64decode(step[_HANDED])))
    seen = {name: value for name, value in step.items() if not _is_restored(name)}
    seen |= {name: value for name, value in job.items() if not _OF_TASKS.fullmatch(name) and name not in _OF_THE_NODE}
    return seen | {name: step[same] for name, same in _OF_THE_NODE.items() if name in job and same in step}


def _is_kept_from_programs(name: str) -> bool:
    if _CONTACT.fullmatch(name):
        return False
    return bool(_SLURMS.fullmatch(name) or _SHELLS.fullmatch(name))


def _is_restored(name: str) -> bool:
    """Return whether a model is to see the job's value of a variable, or none, whatever our step has."""
    return _is_kept_from_programs(name) or name.startswith("CANDLE_")
