import argparse
import json
import math
import os

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--layers", type=int, default=2)
args = parser.parse_args()
with open("config.json") as file:
    known = json.load(file)
os.makedirs("numbers/results", exist_ok=True)
with open("numbers/results/last.txt", "w") as file:
    file.write(str(args.lr))
print("test loss:", (math.log10(args.lr) + 2) ** 2 + 0.25 + 0 * len(known))
