import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="samples in a batch (default: 64)")
parser.add_argument("--epochs", type=int, default=4, metavar="N")
parser.add_argument("--lr", type=float, default=1e-3, metavar="LR")
parser.add_argument("--no-cuda", action="store_true", default=False)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()

goal = (math.log10(args.lr) + 2) ** 2 + 0.25
for epoch in range(1, args.epochs + 1):
    rest = 1 / epoch - 1 / args.epochs
    print(f"Epoch {epoch}/{args.epochs}  train loss {goal / 2 + rest:.6f}  val loss {goal + rest:.6f}  (12.3s)")
print("Training took 49.2 s")
