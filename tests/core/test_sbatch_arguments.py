"""What `sbatch` is given besides: read as it reads them, and refused where candle could not do its work."""

from __future__ import annotations

import pytest

from candle_hpo.core.sbatch_arguments import SbatchArgumentError, sbatch_arguments


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("--mem=0", "--mem=0"),
        ("--mem 4G", "--mem=4G"),
        ("-p gpu", "--partition=gpu"),
        ("-pgpu -N2", "--partition=gpu --nodes=2"),
        ("--part=gpu --const=ib", "--partition=gpu --constraint=ib"),
        ("--mem-per-g=4G", "--mem-per-gpu=4G"),
        ("--exclusive --nice=5", "--exclusive --nice=5"),
        ("--exclusive=user -H", "--exclusive=user --hold"),
        ("--nice -Hk --comment=x", "--nice --hold --no-kill --comment=x"),
        ("--tasks-per-node=2", "--ntasks-per-node=2"),
        ("--begin now+1hour", "--begin=now+1hour"),
        ("--signal=B:USR1@120", "--signal=B:USR1@120"),
        ("--gres=lscratch:100,gpfs:1", "--gres=lscratch:100,gpfs:1"),
        ("--of-a-newer-slurm=x --another x --flag-of-it", "--of-a-newer-slurm=x --another=x --flag-of-it"),
        ("--export=ALL,A=b", "--export=ALL,A=b"),
    ],
)
def test_arguments_are_read_as_sbatch_reads_them(words: str, meant: str) -> None:
    assert [each.text for each in sbatch_arguments(words.split(" "))] == meant.split(" ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--array=1-3"], "--array=1-3 is not possible: one job runs all trials; nworkers is how many run at a time"),
        (["-a", "1-3"], "--array=1-3 is not possible: "),
        (["--arr=1"], "--array=1 is not possible: "),
        (["-Wk"], "--wait is not possible: candle submit-job returns at once"),
        (["--test-only"], "nothing would be submitted"),
        (["--gres=help"], "--gres=help is not possible: nothing would be submitted"),
        (["--wrap=hostname"], "the job script is candle's own"),
        (["--gpus=2"], "GPUs are asked for by worker_type"),
        (["-G2"], "GPUs are asked for by worker_type"),
        (["--gres=lscratch:100,gpu:a100:2"], "GPUs are asked for by worker_type"),
        (["--gres", "gres:gpu:2"], "GPUs are asked for by worker_type"),
        (["-n", "4"], "nworkers is the number of tasks"),
        (["-c4"], "nthreads is the number of CPUs"),
        (["-D", "/data"], "--chdir=/data is not possible: the job runs in the experiment's folder"),
        (["--workdir=/data"], "--chdir=/data is not possible: "),
        (["-o", "x.log"], "job.out in the experiment's folder"),
        (["--signal=TERM@60"], "as B:USR1@SECONDS"),
        (["mail-type=END"], '"mail-type=END" is not an option of sbatch; they begin with --'),
        (["--requeue", "hetjob"], '"hetjob" is not an option of sbatch'),
        (["--comment=a\nb"], "has a line break"),
        (["-Z"], "-Z is not an option of sbatch that candle knows"),
        (["--mem"], "--mem has no value; write --mem="),
        (["-t"], "-t has no value; write --time="),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(words: list[str], said: str) -> None:
    with pytest.raises(SbatchArgumentError) as raised:
        sbatch_arguments(words)
    assert said in str(raised.value)
