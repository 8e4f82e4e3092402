import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.004)
args = parser.parse_args()
with open("numbers/one.txt") as file:
    one = float(file.read())
print(f"logloss: {one * (math.log10(args.lr) + 2) ** 2 + 0.25:.6f}")
