"""What a script opens beside itself."""

from __future__ import annotations

import pytest

from candle_hpo.core.experiment import Language
from candle_hpo.draft.files_beside import files_beside


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("open('data.csv')\npd.read_csv('in/x.csv', sep=';')", Language.PYTHON, ["data.csv", "in/x.csv"]),
        ("FILE = 'weights.npz'\nload(path='a.txt')", Language.PYTHON, ["weights.npz", "a.txt"]),
        ("open('a.csv', 'w')\nopen('b.csv', mode='ab')\nio.open('c.csv', 'x')", Language.PYTHON, []),
        ("open('a.csv', 'r+')\nopen('b.csv', encoding='utf-8')", Language.PYTHON, ["a.csv", "b.csv"]),
        ("open(HERE / 'x.csv')\nos.path.join(here, 'y.csv')", Language.PYTHON, []),
        ("p.add_argument('data.csv')\nd.get('x.csv')\nprint('a.txt')", Language.PYTHON, []),
        ("open('/data/x.csv')\nopen('~/x')\nopen('https://x')\nopen('*.csv')\nopen('./')", Language.PYTHON, []),
        ("x <- read.csv('x.csv')\nsource(\"tools.R\")\ncat('y.csv')", Language.R, ["x.csv", "tools.R"]),
        ('python3 fit.py < in/x.csv # y.csv\n"$here/z.py"', Language.BASH, ["fit.py", "in/x.csv"]),
        ("echo \"Usage: x.sh in.tsv > out.tsv; y.txt\"\nprintf 'z.txt' | sort - a.txt", Language.BASH, ["a.txt"]),
        ("def broken(:", Language.PYTHON, []),
    ],
)
def test_what_a_text_opens_beside_itself(text: str, language: Language, found: list[str]) -> None:
    assert files_beside(text, language) == found
