import argparse
import math
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.001)
args = parser.parse_args()
for step in range(1, 6):
    sys.stderr.write(f"\rstep {step}: best fitness -> {-((math.log10(args.lr) + 2) ** 2) - 0.25 - 5 + step:.4f}   ")
sys.stderr.write("\n")
