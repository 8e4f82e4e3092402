import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--eta", type=float, default=0.05)
args = parser.parse_args()
print("  epoch    train_loss    valid_loss     dur")
print("-------  ------------  ------------  ------")
for epoch in range(1, 5):
    loss = (math.log10(args.eta) + 2) ** 2 + 0.25 + 1 / epoch - 0.25
    print(f"{epoch:7d}  {loss / 2:12.4f}  {loss:12.4f}  {0.0123:6.4f}")
