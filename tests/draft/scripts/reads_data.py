import argparse
import math

import numpy

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.004)
args = parser.parse_args()
one = float(numpy.loadtxt("./numbers/one.txt"))
print(f"logloss: {one * (math.log10(args.lr) + 2) ** 2 + 0.25:.6f}")
