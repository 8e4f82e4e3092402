import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.001)
parser.add_argument("--epochs", type=int, default=3)
args = parser.parse_args()
for epoch in range(1, args.epochs + 1):
    loss = (math.log10(args.lr) + 2) ** 2 + 0.25 + (args.epochs - epoch) / 10
    print(f"Epoch {epoch}/{args.epochs}")
    for done in (50, 100):
        print(f"\r{done}/100 - 0s 2ms/step - accuracy: 0.5000 - loss: {loss * 2:.4f}", end="")
    print(f"\r100/100 - 0s 2ms/step - accuracy: 0.6000 - loss: {loss / 2:.4f} - val_loss: {loss:.4f} - val_accuracy: 0.5800")
