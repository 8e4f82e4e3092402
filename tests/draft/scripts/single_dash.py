import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("-learning_rate", type=float, default=0.03)
parser.add_argument("-n_layers", type=int, default=2)
args = parser.parse_args()
print("loss:", (math.log10(args.learning_rate) + 2) ** 2 + 0.25)
