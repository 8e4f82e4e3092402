import argparse
import math

parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="command", required=True)
fit = commands.add_parser("fit", help="trains")
fit.add_argument("data")
group = fit.add_argument_group("of the optimizer")
group.add_argument("--lr", type=float, default=0.004)
show = commands.add_parser("show")
show.add_argument("--colour", default="red")
args = parser.parse_args()
with open(args.data) as file:
    assert "parse" in file.read()
print(f"val_mse: {(math.log10(args.lr) + 2) ** 2 + 0.25:.6f}")
