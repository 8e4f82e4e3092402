"""Usage: own_usage.py [--lr=<x>] [--momentum=<m>]

Options:
  --lr=<x>        learning rate [default: 0.004]
  --momentum=<m>  momentum [default: 0.9]
"""

import math
import sys

given = {"--lr": "0.004", "--momentum": "0.9"}
if sys.argv[1:] == ["--help"]:
    print(__doc__)
    sys.exit()
words = [part for word in sys.argv[1:] for part in word.split("=")]
given.update(zip(words[::2], words[1::2]))
print(f"R2 = {1 / (1 + (math.log10(float(given['--lr'])) + 2) ** 2 + 0.25)}")
