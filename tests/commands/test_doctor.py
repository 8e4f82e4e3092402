"""candle doctor: one file with what helps from afar, and no secret in it, whatever does not answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from candle_hpo.record.experiment import Experiment
from candle_hpo.runner import doctor
from conftest import Candle, WriteInput
from support.made_experiments import make_experiment

SECRETS = {  # where each is planted
    "environment": "env-hunter2",
    "allowed name": "jwt-hunter2",
    "path": "hf_PathHunterPathHunter2",
    "hyperparameter": "hyper-hunter2",
    "keyword": "prepare-hunter2",
    "sbatch": "sbatch-hunter2",
    "output": "printed-hunter2",
    "job output": "best-hunter2",
}


def sections(text: str) -> dict[str, list[str]]:
    return {part.partition("\n")[0]: part.strip().splitlines()[2:] for part in text.split("\n## ")[1:]}


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{script}\n")
    (folder / name).chmod(0o755)


def test_no_planted_secret_reaches_the_file(here: Path, write_input: WriteInput, candle: Candle) -> None:
    control = (
        "engine=local\nresult_pattern='loss: (.*)'\n"
        f"prepare='export X={SECRETS['keyword']}'\ncustom_sbatch_args='--export=X={SECRETS['sbatch']} --mem=3G'"
    )
    script = f"print('loss: {SECRETS['output']}')"
    write_input(script, control, f'name = "{SECRETS["hyperparameter"]}"', '{"x": 1}\n{"x": 2}')
    environment = {
        "MY_PASSWORD": SECRETS["environment"],
        "SLURM_JWT": SECRETS["allowed name"],
        "CANDLE_X": f"of {SECRETS['environment']}",
        "PATH": f"{os.environ['PATH']}:/opt/{SECRETS['path']}/bin",
        "SLURM_CPUS_PER_TASK": "3",
        "SBATCH_TIMELIMIT": "5",
    }
    done = candle("submit-job", "x.in", **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert SECRETS["output"] in done.stdout  # which a job's output then has, too
    (here / "last-candle-job" / "job.out").write_text(
        f"{done.stdout}\n best: name={SECRETS['job output']}\nslurmstepd: error: *** JOB 17 CANCELLED ***\n"
    )
    asked = candle("doctor", **environment)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    text = (here / "candle_doctor.txt").read_text()
    for place, secret in SECRETS.items():
        assert secret not in text, place
        assert secret not in asked.stdout, place
    found = sections(text)
    assert "SLURM_JWT=[removed]" in found["Environment"]
    assert "CANDLE_X=of [removed]" in found["Environment"]
    assert "SLURM_CPUS_PER_TASK=3" in found["Environment"]
    assert "SBATCH_TIMELIMIT=5" in found["Environment"]
    assert not any("MY_PASSWORD" in line for line in found["Environment"])
    assert 'custom_sbatch_args: ["--export…","--mem=3G"]' in found["Settings"]
    assert 'prepare: "(set, not shown)"' in found["Settings"]
    assert "2 failed: no_value" in found["Experiment"]
    assert found["job.out"][1:] == ["slurmstepd: error: *** JOB 17 CANCELLED ***"]
    assert any("a campaign starts in no job; workers: 1" in line for line in found["campaign.log"])


def test_it_says_what_there_is_and_overwrites_nothing(here: Path, candle: Candle) -> None:
    bin_folder = here / "bin"
    bin_folder.mkdir()
    program(
        bin_folder, "sinfo", 'if [[ $1 == --version ]]; then echo slurm 23.11.4; else echo "gpu* up 1:00 4 idle"; fi'
    )
    program(bin_folder, "scontrol", "echo Slurmctld\\(primary\\) at n1 is UP")
    program(bin_folder, "sacct", "echo Slurm accounting storage is disabled >&2; exit 1")
    path = f"{bin_folder}:{os.environ['PATH']}"
    first, second = candle("doctor", PATH=path), candle("doctor", PATH=path)
    assert first.returncode == second.returncode == 0
    assert "Batch system: slurm 23.11.4; Slurmctld(primary) at n1 is UP" in first.stdout
    assert "No experiment here" in first.stdout
    assert "Written to candle_doctor.txt." in first.stdout
    assert "Written to candle_doctor_2.txt." in second.stdout
    found = sections((here / "candle_doctor.txt").read_text())
    assert found.keys() == sections((here / "candle_doctor_2.txt").read_text()).keys()
    assert "  gpu* up 1:00 4 idle" in found["Batch system"]
    assert "  Slurm accounting storage is disabled" in found["Batch system"]
    assert found["Versions"][0].startswith("candle ")
    assert any(line.startswith("parsl 20") for line in found["Versions"])
    assert any(line.startswith("open files (ulimit -n): ") for line in found["Limits"])
    assert found["Interpreters"][0].startswith("python 3.")


def test_an_experiment_that_is_named_and_is_not_there_is_an_error(here: Path, candle: Candle) -> None:
    done = candle("doctor", "X017")
    assert done.returncode == 2
    assert "X017" in done.stderr
    assert list(here.iterdir()) == []


def test_a_damaged_record_is_reported_beside_all_else(here: Path, candle: Candle) -> None:
    paths = make_experiment(here / "X000", 5)
    lines = paths.record.read_bytes().splitlines(keepends=True)
    paths.record.write_bytes(b"".join([*lines[:2], b"nonsense\n", *lines[2:]]))
    paths.log.write_text(
        "2026-03-05T09:12:44.031Z ERROR n1:17 candle_hpo.x: the disk is gone\n    Traceback (most recent call last):\n"
        "2026-03-05T09:12:45.031Z INFO n1:17 candle_hpo.x: all is well\n"
        "2026-03-05T09:12:45.031Z DEBUG n1:17 parsl.x: called with hunter2\n"
    )
    assert candle("doctor", "X000").returncode == 0
    found = sections((here / "candle_doctor.txt").read_text())
    assert found["Experiment"][0].startswith("could not be determined: ")
    assert "sed -i.damaged -e 3d" in found["Experiment"][0]
    error, traceback = found["Last errors"]
    assert error.endswith("ERROR n1:17 candle_hpo.x: the disk is gone")
    assert traceback == "    Traceback (most recent call last):"
    assert len(found["campaign.log"]) == 4
    assert found["Settings"][0].startswith("a model in Python; ")


def test_what_hangs_or_breaks_says_so_and_stops_nothing_else(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sinfo", "scontrol", "sacct", "Rscript"):
        program(here, name, "sleep 600")
    monkeypatch.setattr(doctor, "user_environment", lambda: {**os.environ, "PATH": f"{here}:{os.environ['PATH']}"})
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "_PROGRAM_SECONDS", 0.5)
    monkeypatch.setattr(doctor, "_limits", lambda: [][0])
    found = dict(doctor.examine(Experiment(make_experiment(here / "X000", 5)), here))
    assert "could not be determined" in found["Batch system"][0]
    assert found["Limits"] == ["could not be determined: IndexError('list index out of range')"]
    assert found["Experiment"][0].startswith("X000: 5 trials")
    assert "Rscript: could not be determined: " in found["Interpreters"][0]
    assert ", bash " in found["Interpreters"][0]
