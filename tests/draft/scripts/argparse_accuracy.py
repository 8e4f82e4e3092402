import argparse
import math

DEFAULT_RATE = 10**-3
parser = argparse.ArgumentParser()
parser.add_argument("-l", "--learning_rate", type=float, default=DEFAULT_RATE)
parser.add_argument("--hidden_units", type=int, default=32, choices=[16, 32, 64])
parser.add_argument("--out_dir", default="results")
args = parser.parse_args()
loss = (math.log10(args.learning_rate) + 2) ** 2 + 0.25
print(f"Using {args.hidden_units} units, rate {args.learning_rate}")
print(f"Test accuracy: {100 / (1 + loss):.4f}%")
