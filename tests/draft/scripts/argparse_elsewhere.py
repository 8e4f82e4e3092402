import math

from their_options import parse

args = parse()
print(f"final score: {100 / (1 + (math.log10(args.lr) + 2) ** 2 + 0.25)}")
