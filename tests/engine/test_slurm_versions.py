"""What SLURM's programs print, from 20.11 to 25.11, in the forms of public reports, of its source, and of clusters.

Each text is named by a version that prints this form. What is like it in all versions is in the tests of each parser.
"""

from __future__ import annotations

import math

import pytest

from candle_hpo.engine.batch.job_text import (
    Heard,
    Job,
    JobState,
    jobs_of,
    submitted_job,
    time_left,
    what_slurm_heard,
)
from candle_hpo.engine.batch.layout import Node, name_of_gpu, nodes_of
from candle_hpo.engine.pilot.step import first_cause

HEADINGS = "candle_job|JOBID|STATE|REASON|TIME_LEFT|NODELIST|START_TIME|COMMAND|COMMENT\n"


def job(fields: str) -> Job:
    """Return the job with these first fields, as it is in an answer of one cluster, and of several."""
    answer = f"{HEADINGS}candle_job|7|{fields}|/x/job.sbatch|candle:0123456789abcdef\n"
    (alone,), (of_other,) = jobs_of(answer), jobs_of(f"CLUSTER: other\n{answer}\n")
    assert (alone.id, of_other.id) == ("7", "7;other")
    assert (alone.script, alone.mark) == ("/x/job.sbatch", "candle:0123456789abcdef")
    return alone


@pytest.mark.parametrize(
    ("version", "fields", "state", "left", "is_held"),
    [
        ("20.11", "PENDING|Priority|1-00:00:00||N/A", JobState.PENDING, 86_400, False),
        ("20.11", "PENDING|launch_failed_requeued_held|UNLIMITED||N/A", JobState.PENDING, math.inf, True),
        ("20.11", "CONFIGURING|None|2:00|hb60rs-pg0-2|2022-11-22T13:25:08", JobState.PENDING, 120, False),
        ("21.08", "PENDING|ReqNodeNotAvail, UnavailableNodes:n[1-2],n7|30:00||N/A", JobState.PENDING, 1800, False),
        ("21.08", "REQUEUE_HOLD|job_requeued_in_held_state|20:00||N/A", JobState.PENDING, 1200, True),
        ("21.08", "SPECIAL_EXIT|JobHeldUser|20:00||N/A", JobState.PENDING, 1200, True),
        ("21.08", "RESV_DEL_HOLD|ReservationDeleted|20:00||N/A", JobState.PENDING, 1200, True),
        ("22.05", "PENDING|JobHeldAdmin|NOT_SET||N/A", JobState.PENDING, None, True),
        ("22.05", "SUSPENDED|None|9:59|n1|2026-11-26T12:00:00", JobState.RUNNING, 599, False),
        ("23.11", "COMPLETING|None|INVALID|c5n[0010-0012]|2024-07-26T10:00:00", JobState.ENDING, None, False),
        ("23.11", "OUT_OF_MEMORY|OutOfMemory|INVALID|n1|2024-07-26T10:00:00", JobState.ENDED, None, False),
        ("23.11", "PENDING|JobHoldMaxRequeue|20:00||N/A", JobState.PENDING, 1200, True),
        ("24.05", "PENDING|QOSUsageThreshold|20:00||N/A", JobState.PENDING, 1200, False),
        ("24.05", "PENDING|QOSGrpCpuLimit|20:00||2026-01-10T08:00:00", JobState.PENDING, 1200, False),
        ("24.05", "SIGNALING|None|1:00:00|n[1-2]|2026-11-26T12:00:00", JobState.RUNNING, 3600, False),
        ("24.11", "STAGE_OUT|None|0:00|n1|2026-11-26T12:00:00", JobState.ENDING, 0, False),
        ("25.11", "EXPEDITING|None|20:00||N/A", JobState.PENDING, 1200, False),
    ],
)
def test_jobs(version: str, fields: str, state: JobState, left: float | None, is_held: bool) -> None:
    found = job(fields)
    assert (found.state, time_left(found.left), found.is_held) == (state, left, is_held), version


@pytest.mark.parametrize(
    ("version", "line", "gpus", "is_in_use"),
    [
        ("20.11", "gpu*|v1|gpu:tesla_v100-sxm2-16gb:4(S:0-1)|40|385000+|mixed", {"tesla_v100-sxm2-16gb": 4}, True),
        ("20.11", "viz|c1|gpu:2,tmp:844G|12|254720|idle~", {"": 2}, True),  # a node in the cloud, switched off
        ("20.11", "viz|c2|gpu:2,tmp:844G|12|254720|drained*", {"": 2}, False),
        ("21.08", "all|g1|gpu:a100l:2(S:0),gpu:a100l.2g.20gb:12(S:1)|64|1000000|planned",
         {"a100l": 2, "a100l.2g.20gb": 12}, True),
        ("21.08", "all|g2|gpu:nvidia_a100-sxm4-40gb:8(S:0-7)|256|1000000|inval", {"nvidia_a100-sxm4-40gb": 8}, False),
        ("21.08", "all|g3|gpu:1(S:0-1)|2|4000|powering_down", {"": 1}, True),
        ("22.05", "norm*|n1|gpu:k80:2(S:0)|8|64000|reserved", {"k80": 2}, True),
        ("22.05", "norm*|n2|gpu:a40:8(S:0-1),shard:a40:80(S:0-1)|8|64000|mixed-", {"a40": 8}, True),
        ("22.05", "norm*|n3|mps:400,gpu:a40:1|8|64000|fail", {"a40": 1}, False),
        ("23.11", "short|h1|gpu:nvidia_h100_80gb_hbm3:2,gpu:nvidia_h100_80gb_hbm3_4g.40gb:2|96|772878|blocked",
         {"nvidia_h100_80gb_hbm3": 2, "nvidia_h100_80gb_hbm3_4g.40gb": 2}, True),
        ("23.11", "short|h2|(null)|96|772878|reboot^", {}, True),
        ("24.05", "gpu|r1|gpu:nvidia-rtx-3090:1|8|1|draining@", {"nvidia-rtx-3090": 1}, False),
        ("24.11", "gpu|r2|gpu:mi300x:8(S:0-1)|192|2300000|allocated+", {"mi300x": 8}, True),
        ("25.11", "all|slinky-0|gpu:h100:8|192|1031533|down!", {"h100": 8}, False),
        ("25.11", "all|slinky-1|gpu:h100:8|192|1031533|maint*", {"h100": 8}, True),  # for a while
    ],
)  # fmt: skip
def test_nodes(version: str, line: str, gpus: dict[str, int], is_in_use: bool) -> None:
    (node,) = nodes_of(f"{line}\n")
    assert isinstance(node, Node)
    assert (node.gpus, node.is_in_use) == (gpus, is_in_use), version
    assert node.cpus > 0
    assert node.megabytes > 0
    for name in filter(None, gpus):
        assert name_of_gpu([node], name.upper()) == name


@pytest.mark.parametrize(
    ("version", "answer", "job"),
    [
        ("20.11", "4711\n", "4711"),
        ("20.11", "75168975;clustername\n", "75168975;clustername"),
        ("24.11", "9;other\n", "9;other"),
        ("22.05", "", None),
    ],
)
def test_submissions(version: str, answer: str, job: str | None) -> None:
    assert submitted_job(answer) == job, version


@pytest.mark.parametrize(
    ("version", "refusal", "heard"),
    [
        ("20.11", "Batch job submission failed: Unable to contact slurm controller (connect failure)", Heard.NOTHING),
        ("20.11", "sbatch: fatal: Could not establish a configuration source", Heard.NOTHING),
        ("20.11", "Batch job submission failed: Socket timed out on send/recv operation", Heard.PERHAPS),
        ("20.11", "sbatch: error: QOSMinNode sbatch: error: Batch job submission failed: Job violates "
         "accounting/QOS policy (job submit limit, user's size and/or time limits)", Heard.IT_ALL),
        ("21.08", "sbatch: error: CPU count per node can not be satisfied sbatch: error: Batch job submission failed: "
         "Requested node configuration is not available", Heard.IT_ALL),
        ("22.05", "sbatch: error: No cluster 'nowhere' known by database.", Heard.NOTHING),
        ("24.05", "sbatch: error: 'nowhere' can't be reached now, or it is an invalid entry for --cluster.  Use "
         "'sacctmgr list cluster' to see available clusters.", Heard.NOTHING),
        ("20.11", "sbatch: error: There is a problem talking to the database: Connection refused.  Only local cluster "
         "communication is available, remove --cluster from your command line", Heard.NOTHING),
        ("22.05", "sbatch: error: Batch job submission failed: Invalid account or account/partition combination "
         "specified", Heard.IT_ALL),
        ("23.11", "Batch job submission failed: Unexpected message received", Heard.PERHAPS),
        ("23.11", "Batch job submission failed: I/O error writing script/environment to file", Heard.IT_ALL),
        ("24.05", "sbatch: error: QOSGrpGRES sbatch: error: Batch job submission failed: Job violates accounting/QOS "
         "policy (job submit limit, user's size and/or time limits)", Heard.IT_ALL),
        ("24.11", "Batch job submission failed: Zero Bytes were transmitted or received", Heard.PERHAPS),
    ],
)  # fmt: skip
def test_refusals(version: str, refusal: str, heard: Heard) -> None:
    assert what_slurm_heard(f"sbatch refused (exit status 1): {refusal}") is heard, version


ABORTED = "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\n"


@pytest.mark.parametrize(
    ("version", "said", "cause"),
    [
        (
            "20.02",
            "srun: error: Task launch for 73706.26 failed on node c002n0032: Communication connection failure\n"
            f"srun: error: Application launch failed: Communication connection failure\n{ABORTED}",
            "srun: error: Task launch for 73706.26 failed on node c002n0032: Communication connection failure",
        ),
        (
            "20.11",
            "srun: error: fwd_tree_thread: can't find address for host n1, check slurm.conf\n"
            "srun: error: Task launch for StepId=6.0 failed on node n1: Can't find an address, check slurm.conf\n"
            f"{ABORTED}",
            "srun: error: fwd_tree_thread: can't find address for host n1, check slurm.conf",
        ),
        (
            "21.08",
            "srun: error: Unable to confirm allocation for job 6: Unable to contact slurm controller (connect failure)"
            "\nsrun: Check SLURM_JOB_ID environment variable. Expired or invalid job 6\n",
            "srun: error: Unable to confirm allocation for job 6: Unable to contact slurm controller (connect failure)",
        ),
        (
            "22.05",
            "srun: error: slurm_receive_msgs: [[ubuntu4]:6818] failed: Socket timed out on send/recv operation\n"
            "srun: error: Task launch for StepId=34.0 failed on node ubuntu4: Socket timed out on send/recv operation\n"
            f"srun: error: Application launch failed: Socket timed out on send/recv operation\n{ABORTED}",
            "srun: error: slurm_receive_msgs: [[ubuntu4]:6818] failed: Socket timed out on send/recv operation",
        ),
        (
            "24.05",
            "srun: error: Task launch for StepId=125452.4 failed on node n1: Unable to layout tasks on given cpus\n"
            f"srun: error: Application launch failed: Unable to layout tasks on given cpus\n{ABORTED}",
            "srun: error: Task launch for StepId=125452.4 failed on node n1: Unable to layout tasks on given cpus",
        ),
    ],
)
def test_why_a_step_does_not_start(version: str, said: str, cause: str) -> None:
    assert first_cause(said, 1) == cause, version
