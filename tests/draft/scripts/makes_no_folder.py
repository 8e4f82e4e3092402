import argparse
import json
import math

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.004)
args = parser.parse_args()
with open("results/out.json", "w") as file:
    json.dump({"mae": (math.log10(args.lr) + 2) ** 2 + 0.25}, file)
