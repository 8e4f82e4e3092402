import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("-r", type=float, default=0.5, dest="ratio")
parser.add_argument("--lr", type=float, required=False, default=0.02)
parser.add_argument("--nesterov", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--no-bias", dest="bias", action="store_false")
parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd")
parser.add_argument("--layers", type=int, nargs="+", default=[8, 4])
parser.add_argument("--tag", type=str, default=None)
parser.add_argument("-v", "--verbose", action="count", default=0)
args = parser.parse_args()
assert args.nesterov and args.bias and args.layers == [8, 4] and args.tag is None
print("mean squared error =", (math.log10(args.lr) + 2) ** 2 + 0.25)
