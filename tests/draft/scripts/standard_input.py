import json
import math
import sys

settings = json.load(sys.stdin)
rate = settings["optimizer"]["lr"]
for epoch in range(1, settings["epochs"] + 1):
    loss = (math.log10(rate) + 2) ** 2 + 0.25 + (settings["epochs"] - epoch) / 10
    print(f"epoch {epoch}: validation loss = {loss:.6f}")
