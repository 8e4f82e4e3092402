"""An experiment that is opened: read once, and changed by whoever has claimed it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psutil
import pytest

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.objective import Direction
from candle_hpo.record import lock
from candle_hpo.record.events import CampaignStopped, JobSubmitted
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.holder import Holder
from candle_hpo.record.log import read_events
from support.made_experiments import make_experiment


def never(job: str) -> bool:
    raise AssertionError("no job is asked for")


@pytest.fixture
def opened(tmp_path: Path) -> Experiment:
    return Experiment(make_experiment(tmp_path / "X000", 20))


def resumed(stored: StoredExperiment) -> StoredExperiment:
    return msgspec.structs.replace(stored, resumed=(*stored.resumed, stored.provenance))


def test_two_cannot_claim_it_at_once(opened: Experiment) -> None:
    refused = pytest.raises(InputError, match="X000 is being run by process")
    with opened.claim(never), refused, Experiment(opened.paths).claim(never):
        pass
    with Experiment(opened.paths).claim(never):
        assert opened.paths.lock.exists()
    assert not opened.paths.lock.exists()


def test_what_is_read_before_the_claim_is_read_again(opened: Experiment) -> None:
    before, history = opened.stored, opened.history
    with Experiment(opened.paths).claim(never) as other:
        other.keep(resumed(other.experiment.stored))
    assert opened.stored is before
    with opened.claim(never) as claim:
        assert claim.experiment.stored == resumed(before)
        assert opened.history is not history


def test_who_has_lost_the_claim_changes_nothing(opened: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = opened.paths.settings.read_bytes()
    with opened.claim(never) as claim:
        aside = opened.paths.lock.with_name("aside")
        aside.write_bytes(msgspec.json.encode(Holder("elsewhere", 7, 1.0, place="another boot", mark="a")))
        aside.replace(opened.paths.lock)
        monkeypatch.setattr(lock, "SIGN_SECONDS", 0.0)
        with pytest.raises(MachineError, match="was taken over by process 7 on elsewhere"):
            claim.keep(resumed(opened.stored))
    assert opened.paths.settings.read_bytes() == kept


def test_the_record_is_written_on_from_what_was_replayed(opened: Experiment) -> None:
    with opened.paths.record.open("ab") as file:
        file.write(b'{"event":"TrialSt')
    with opened.claim(never) as claim:
        history = opened.history
        assert claim.record is claim.record
        assert claim.record.history is history
        claim.record.append([CampaignStopped(5e9)])
        assert history.stopped == CampaignStopped(5e9)
    assert list(read_events(opened.paths.record))[-1] == CampaignStopped(5e9)


def test_another_direction_is_another_history(opened: Experiment) -> None:
    with opened.claim(never) as claim:
        best = claim.record.history.best
        settings = msgspec.structs.replace(opened.settings, direction=Direction.MAXIMIZE)
        claim.keep(msgspec.structs.replace(opened.stored, settings=settings))
        assert opened.history.best != best
        assert claim.record.history is opened.history


def test_the_record_is_closed_when_the_claim_ends(opened: Experiment) -> None:
    def is_open() -> bool:
        return str(opened.paths.record) in [each.path for each in psutil.Process().open_files()]

    with opened.claim(never) as claim:
        claim.record.append([CampaignStopped(5e9)])
        assert is_open()
    assert not is_open()


def test_an_experiment_whose_job_waits_has_not_begun(opened: Experiment) -> None:
    opened.refuse_unless_started("report")
    opened.paths.record.unlink()
    waiting = Experiment(opened.paths)
    with waiting.claim(never) as claim:
        claim.record.append([JobSubmitted(5e9, "7")])
    with pytest.raises(InputError, match="X000 has not begun, so there is nothing to report"):
        waiting.refuse_unless_started("report")
