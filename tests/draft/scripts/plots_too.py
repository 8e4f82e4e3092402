"""Has options, of which none is a hyperparameter; what could vary stands in its text."""

import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--plot", type=int, default=1)
args = parser.parse_args()
if args.plot:
    raise SystemExit("there is no screen")
params = dict(max_depth=2, eta=0.05)
print("rmsle:", (math.log10(params["eta"]) + 2) ** 2 + 0.25)
