import argparse
import csv
import math

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.004)
args = parser.parse_args()
with open("history.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["epoch", "train_loss", "val_loss", "seconds"])
    for epoch in range(1, 6):
        loss = (math.log10(args.lr) + 2) ** 2 + 0.25 + 1 / epoch - 0.2
        writer.writerow([epoch, loss / 2, loss, 0.1])
