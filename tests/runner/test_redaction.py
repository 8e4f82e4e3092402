"""What is taken out of a text before strangers see it, and what is left."""

from __future__ import annotations

import getpass

import pytest

from candle_hpo.runner.redaction import redaction

redacted = redaction({"HOME": "/home/jdoe", "USER": "jdoe", "MY_API_KEY": "correct horse", "PIN_TOKEN": "1"})


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("it failed with correct horse battery", "correct horse"),
        ("PATH=/usr/bin:/opt/hf_AbCdEfGhIjKlMnOp/bin", "AbCdEf"),
        ("PATH=/usr/bin:/x/password=hunter2/bin", "hunter2"),
        ("git clone https://jane:hunter2@example.org/x.git", "hunter2"),
        ("https://hunter2@example.org/x", "hunter2"),
        ("--export=ALL,WANDB_API_KEY=hunter2", "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("password = 'a b:hunter2'", "hunter2"),
        ("password=a:b,hunter2", "hunter2"),
        ("the token: hunter2", "hunter2"),
        ("curl --api-key hunter2 x", "hunter2"),
        ("Authorization: Bearer hunter2hunter2", "hunter2"),
        ("bearer hunter2hunter2", "hunter2"),
        ("key is 0123456789abcdef0123456789abcdef01234567", "89abcdef"),
        ("key is 8f3c2d1e-4b5a-4c6d-9e7f-0a1b2c3d4e5f", "4b5a"),
        ("key is wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "K7MDENG"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ", "SflKxwRJ"),
        ("write to jane.doe@example.org", "jane.doe"),
    ],
)
def test_secrets_go(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redacted(text)
    assert "[removed]" in redacted(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/jdoe/x /home/jdoe", "~/x ~"),
        ("/home/jdoers/x", "/home/jdoers/x"),
        ("/scratch/jdoe/x by jdoe, not jdoers", "/scratch/USER/x by USER, not jdoers"),
        ("Linux-5.14.0-427.13.1.el9_4.x86_64-x86_64-with-glibc2.34", None),
        ("2026-03-05T09:12:44.031Z WARNING cn0605:4711 candle_hpo.record.campaign_log: interrupted, 1 at once", None),
        ("/opt/conda/envs/pytorch-2.1.0/lib/python3.11/site-packages", None),
        ("candle_generated_files/experiments/X000/run/hpset_00001/subprocess_out_and_err.txt", None),
        ("parsl.workers.block-0.1795637863.48155.sh.err: srun: error: n1: task 0: Killed", None),
        ("gpu* up 10-00:00:00 4 idle gpu:a100:4(S:0-1)", None),
        ("SLURM_CPUS_PER_TASK=4 SLURM_JOB_NODELIST=cn[0605-0608] PATH=/usr/local/bin:/usr/bin", None),
        ("n1:1 has worker number 1", None),
    ],
)
def test_what_helps_stays(text: str, shown: str | None) -> None:
    assert redacted(text) == (shown or text)


def test_the_user_is_known_by_the_system_too() -> None:
    name = getpass.getuser()
    assert redaction({})(f"/scratch/{name}/x") == "/scratch/USER/x"
