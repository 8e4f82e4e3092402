import math
import sys

rate = float(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
print(f"after {rounds} rounds: deviance = {(math.log10(rate) + 2) ** 2 + 0.25}")
