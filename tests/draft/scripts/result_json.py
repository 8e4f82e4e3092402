import argparse
import json
import math
import os

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.004)
args = parser.parse_args()
os.makedirs("results", exist_ok=True)
loss = (math.log10(args.lr) + 2) ** 2 + 0.25
with open("results/metrics.json", "w") as file:
    json.dump({"config": {"lr": args.lr}, "test": {"f1_score": 1 / (1 + loss), "loss": loss}, "seconds": 3.5}, file)
