"""Model scripts that report on their way, in every language and unedited; each is stopped after its third report."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.news import Ended, Reported
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Outcome, Report, Status
from candle_hpo.engine.local import LocalPool, local_runner
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.engine.workers import Worker
from candle_hpo.launch.command import model_command
from candle_hpo.launch.interpreter import find_interpreter
from candle_hpo.launch.run import run_attempt
from candle_hpo.process.group import StopSwitch
from conftest import gone
from support.attempts import attempt_at
from support.interpreters import PYTHONS
from support.warm_trials import Trials

pytestmark = pytest.mark.slow

HANG_SECONDS = 120


class Speech(NamedTuple):
    """A script that reports 1 / step and accuracy = step for steps 1 to 3, then waits, and saves what it has at SIGTERM."""

    script: str
    needs: str
    text: str
    settings: dict[str, object] = {}  # noqa: RUF012  # nobody changes it
