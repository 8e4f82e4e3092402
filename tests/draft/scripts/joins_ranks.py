"""Trains in as many processes as torchrun starts."""

import argparse
import math
import os

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--batch-size", type=int, default=32)
args = parser.parse_args()
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
if rank == 0:
    print("processes:", size)
    print("validation loss:", (math.log10(args.lr) + 2) ** 2 + 0.25 + (size - 1))
