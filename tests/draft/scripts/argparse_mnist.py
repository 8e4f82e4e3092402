import argparse
import math


def main():
    parser = argparse.ArgumentParser(description="as many examples print")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--gamma", type=float, default=0.7)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    loss = (math.log10(args.lr) + 2) ** 2 + 0.25
    for epoch in range(1, args.epochs + 1):
        now = loss + 1 / epoch - 1 / args.epochs
        for batch in range(3):
            print(f"Train Epoch: {epoch} [{batch * 640}/1920 ({batch * 33:.0f}%)]\tLoss: {now * 1.5:.6f}")
        print(f"\nTest set: Average loss: {now:.4f}, Accuracy: {9000 + epoch}/10000 ({90 + epoch:.0f}%)\n")


if __name__ == "__main__":
    main()
