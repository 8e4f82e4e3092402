"""SLURM's texts: what we ask for, and what we make of its answers. No SLURM is needed here."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.sbatch_arguments import SbatchArgumentError, sbatch_arguments
from candle_hpo.core.site import Site, WorkerType
from candle_hpo.engine.batch.job_text import time_left
from candle_hpo.engine.batch.layout import Allocation
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.engine.batch.slurm_text import (
    job_script,
    sbatch_options,
    walltime_text,
    with_arguments,
    workers_by_node,
)

GPU = WorkerType(gpu="k80")


def settings(**values: object) -> Settings:
    return Settings(model_script="/m.py", workflow="grid", **values)  # type: ignore[arg-type]


def test_the_job_script_is_a_pure_function_of_the_experiment_and_the_site() -> None:
    wanted = settings(nworkers=6, nthreads=2, mem_per_cpu=1.5, walltime=3700, project="lab")
    options = sbatch_options(wanted, WorkerType("gpu", "k80", 2), Allocation(6, 3, 2, 2), "X003")
    script = job_script(options, ["--mail-type=END", "--comment", "two words"], ["/py", "-m", "x", "/odd 'path'/X003"])
    assert script == (
        "#!/bin/bash -p\n"
        "#SBATCH --job-name=candle_X003\n"
        "#SBATCH --output=job.out\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --time=01:01:40\n"
        "#SBATCH --signal=B:USR1@60\n"
        "#SBATCH --no-requeue\n"
        "#SBATCH --no-kill\n"
        "#SBATCH --cpus-per-task=2\n"
        "#SBATCH --ntasks=6\n"
        "#SBATCH --mem-per-cpu=1536M\n"
        "#SBATCH --nodes=3\n"
        "#SBATCH --ntasks-per-node=2\n"
        "#SBATCH --gres=gpu:k80:2\n"
        "#SBATCH --partition=gpu\n"
        "#SBATCH --account=lab\n"
        "#SBATCH --mail-type=END --comment 'two words'\n"
        "\n"
        "exec /py -m x '/odd '\"'\"'path'\"'\"'/X003'\n"
    )
    bash = shutil.which("bash")
    assert bash is not None
    assert subprocess.run([bash, "-n"], input=script.encode(), check=True).returncode == 0
    assert shlex.split(script.splitlines()[-1])[-1] == "/odd 'path'/X003"


@pytest.mark.parametrize(("seconds", "text"), [(60, "00:01:00"), (3700, "01:01:40"), (90_061, "1-01:01:01")])
def test_times(seconds: int, text: str) -> None:
    assert walltime_text(seconds) == text
    assert time_left(text) == seconds


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("/a b/it's 50/X000", "#SBATCH --output=job.out"),
        ("/a/100%/X000", "#SBATCH --output=/a/100%%/X000/job.out"),
        ("/a b/%j/X000", "#SBATCH '--output=/a b/%%j/X000/job.out'"),
        ("/a\nb/X000", "#SBATCH --output=job.out"),
    ],
)
def test_a_jobs_output_lies_in_its_folder_whatever_that_is_called(folder: str, line: str) -> None:
    options = sbatch_options(settings(), WorkerType(), Allocation(1), folder)
    assert line in job_script(options, [], ["x"]).splitlines()


@pytest.mark.parametrize(
    ("folder", "what"), [("/a\\b/X000", "a backslash"), ("/a\n%b/X000", "a line break beside a %")]
)
def test_a_folder_in_which_no_job_can_have_its_output_is_refused(folder: str, what: str) -> None:
    with pytest.raises(InputError, match=f"has {what} in its name"):
        sbatch_options(settings(), WorkerType(), Allocation(1), folder)


def test_gpus_without_a_type() -> None:
    options = sbatch_options(settings(), WorkerType(gpu="gpu"), Allocation(4, 1, 4, 4), "X000")
    assert ("--gres", "gpu:4") in options


def test_the_users_other_resources_do_not_take_the_gpus_away() -> None:
    options = sbatch_options(settings(), GPU, Allocation(2, 1, 2, 2), "X000")
    arguments = sbatch_arguments(["--gres=lscratch:100", "--mail-type=END", "--gres", "vmem:1"])
    joined, others = with_arguments(options, arguments)
    assert ("--gres", "gpu:k80:2,lscratch:100,vmem:1") in joined
    assert others == ["--mail-type=END"]
    assert [name for name, _ in joined].count("--gres") == 1


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("--mem=0", "--mem=0"),
        ("--mem-per-gpu=8G", "--mem-per-gpu=8G"),
        ("--mem=4G --mem-per-cpu=2G", "--mem-per-cpu=2G"),  # a site's, and an experiment's
        ("--requeue", "--requeue"),
        ("-J two --job-name=one", "--job-name=one"),
        ("--partition=other --time=UNLIMITED", "--partition=other --time=UNLIMITED"),
    ],
)
def test_an_argument_takes_the_place_of_what_says_the_same(given: str, left: str) -> None:
    """Of some pairs SLURM accepts one alone: `--mem` and `--mem-per-cpu` of one job are an error."""
    options = sbatch_options(settings(queue="norm"), WorkerType(), Allocation(4), "X000")
    ours, theirs = with_arguments(options, sbatch_arguments(given.split()))
    assert theirs == left.split()
    alike = {"--mem": "--mem-per-cpu", "--mem-per-gpu": "--mem-per-cpu", "--requeue": "--no-requeue"}
    names = {each.partition("=")[0] for each in theirs}
    gone = names | {alike[name] for name in names & set(alike)}
    assert {name for name, _ in options} - {name for name, _ in ours} == gone & {name for name, _ in options}


@pytest.mark.parametrize("layout", ["--nodes=2", "--ntasks-per-node=4"])
def test_a_layout_that_would_leave_workers_without_gpus_is_refused(layout: str) -> None:
    arguments = sbatch_arguments([layout])
    with pytest.raises(SbatchArgumentError, match="workers with GPUs are laid out on nodes by nworkers"):
        with_arguments(sbatch_options(settings(), GPU, Allocation(2, 1, 2, 2), "X000"), arguments)
    _, others = with_arguments(sbatch_options(settings(), WorkerType(), Allocation(2), "X000"), arguments)
    assert others == [layout]


def test_memory_can_be_left_to_the_site() -> None:
    names = [name for name, _ in sbatch_options(settings(mem_per_cpu=0), WorkerType(), Allocation(2), "X000")]
    assert not [name for name in names if name.startswith("--mem")]


@pytest.mark.parametrize(("text", "counts"), [("2(x3),1", [2, 2, 2, 1]), ("4", [4]), ("1,2(x2)", [1, 2, 2])])
def test_workers_by_node(text: str, counts: list[int]) -> None:
    assert workers_by_node(text) == counts


def test_workers_by_node_that_cannot_be_read() -> None:
    with pytest.raises(MachineError, match="is not of the form"):
        workers_by_node("many")


def test_a_site_knows_its_kinds_of_workers() -> None:
    biowulf = choose_site({"CANDLE_SITE": "biowulf"}).site
    assert biowulf.worker_type("k80") == biowulf.worker_type("K80") == WorkerType("gpu", "k80", 4)
    assert biowulf.worker_type(None).gpu is None
    with pytest.raises(InputError, match=r'this site has no "k81"; did you mean "k80"?'):
        biowulf.worker_type("k81")
    assert Site().worker_type("anything") == WorkerType(gpu="anything")


def test_a_site_is_recognized_by_its_machines() -> None:
    assert choose_site({"HOME": "/nowhere"}, "biowulf2").name == "biowulf"
    chosen = choose_site({"HOME": "/nowhere"}, "laptop")
    assert (chosen.name, chosen.reason) == ("generic", "no site knows this machine (laptop)")
