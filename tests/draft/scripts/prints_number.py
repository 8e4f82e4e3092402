import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.001)
print((math.log10(parser.parse_args().alpha) + 2) ** 2 + 0.25)
