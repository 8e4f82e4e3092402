import math

hyperparams = globals().get("hyperparams", {"learning_rate": 0.05, "units": 8, "activation": "relu"})
rate = hyperparams["learning_rate"]
assert hyperparams["units"] and hyperparams["activation"] == "relu"
for epoch in range(1, 5):
    candle_report((math.log10(rate) + 2) ** 2 + 0.25 + 1 - epoch / 4, step=epoch)
val_to_return = (math.log10(rate) + 2) ** 2 + 0.25
