"""What a fake of `squeue` prints, in bash: headings, and jobs with the mark of the script that was submitted."""

from pathlib import Path

HEADINGS = "candle_job|JOBID|STATE|REASON|TIME_LEFT|NODELIST|START_TIME|COMMAND|COMMENT"


def squeue_that_shows(script: Path, *jobs: str, mark: str = "") -> str:
    """Return the body of a `squeue` that shows these jobs, such as `7|PENDING`, as those of a job script.

    Their comments have the last mark of that script, or `mark`.
    """
    own = f"$(grep -o 'candle:[0-9a-f]*' {script} | tail -n 1)"
    lines = [f'echo "candle_job|{job}|None|1:00|n1|N/A|{script}|{mark or own}"' for job in jobs]
    return "\n".join([f"echo '{HEADINGS}'", *lines])
