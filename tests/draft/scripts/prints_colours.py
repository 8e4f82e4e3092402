import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.001)
parser.add_argument("--data", default="their_options.py", help="a file beside the script")
args = parser.parse_args()
open(args.data).close()
loss = (math.log10(args.lr) + 2) ** 2 + 0.25
print(f"\033[1mResults\033[0m: \033[32mtest_loss\033[0m = {loss:.3e}; \033[32mtest_acc\033[0m = {1 / (1 + loss):.3e}")
