import argparse

from .model import loss_of

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--depth", type=int, default=3)
print("val_loss:", loss_of(parser.parse_args().lr))
