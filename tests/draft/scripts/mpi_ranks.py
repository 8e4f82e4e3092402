"""Runs with MPI or without; each of its processes has a share of the work, and the first one prints."""

import argparse
import math
import os

parser = argparse.ArgumentParser()
parser.add_argument("--step_size", type=float, default=0.05)
parser.add_argument("--particles", type=int, default=64)
args = parser.parse_args()
rank, size = (int(os.environ.get(f"OMPI_COMM_WORLD_{name}", usual)) for name, usual in (("RANK", 0), ("SIZE", 1)))
if rank == 0:
    print("ranks:", size, flush=True)
    print("mean residual:", (math.log10(args.step_size) + 2) ** 2 + 0.25 + (size - 1))
