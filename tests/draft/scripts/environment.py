import math
import os

rate = float(os.environ.get("LEARNING_RATE", "0.05"))
epochs = int(os.environ["EPOCHS"])
print("Mean absolute error:", (math.log10(rate) + 2) ** 2 + 0.25, "after", epochs, "epochs")
