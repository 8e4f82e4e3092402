import argparse
import json
import math

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.004)
args = parser.parse_args()
with open("log.jsonl", "w") as file:
    for step in range(1, 5):
        value = 1 / (1 + (math.log10(args.lr) + 2) ** 2 + 0.25) - 0.01 * (4 - step)
        print(json.dumps({"step": step, "eval_accuracy": value}), file=file)
