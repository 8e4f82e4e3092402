import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--eta", type=float, default=0.3)
parser.add_argument("--max_depth", type=int, default=6)
args = parser.parse_args()
for step in range(4):
    loss = (math.log10(args.eta) + 2) ** 2 + 0.25 + (3 - step) / 10
    print(f"[{step}]\ttrain-logloss:{loss / 2:.5f}\ttest-logloss:{loss:.5f}")
