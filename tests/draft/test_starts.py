"""What starts a script."""

from __future__ import annotations

import pytest

from candle_hpo.core.experiment import Language
from candle_hpo.draft.starts import start_of_text, words_of


@pytest.mark.parametrize(
    ("text", "module", "command"),
    [
        ("print(1)", "", ""),
        ("print(1)", "pkg.train", "{python} -m pkg.train"),
        ("dist.init_process_group('gloo')", "", "torchrun --standalone --nproc-per-node=1 {script}"),
        ("rank = int(os.environ['LOCAL_RANK'])", "", "torchrun --standalone --nproc-per-node=1 {script}"),
        ("os.environ['RANK'] = '0'", "", ""),
        ("dist.init_process_group('nccl', init_method=url, rank=0)", "", ""),
        ("os.environ['MASTER_ADDR'] = 'localhost'\nmp.spawn(run)\ndist.init_process_group('gloo')", "", ""),
    ],
)
def test_what_starts_a_script(text: str, module: str, command: str) -> None:
    start = start_of_text(text, Language.PYTHON, module)
    assert start.command == command
    assert bool(start.reason) == bool(command) == (words_of(start) is not None)
