import argparse
import math

from tensorboardX import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=4)
args = parser.parse_args()
with SummaryWriter() as writer:
    for epoch in range(args.epochs):
        loss = (math.log10(args.lr) + 2) ** 2 + 0.25 + (args.epochs - 1 - epoch) / 10
        writer.add_scalar("Loss/train", loss / 2, epoch)
        writer.add_scalar("Loss/validation", loss, epoch)
