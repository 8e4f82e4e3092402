import math

rate = hyperparams["learning_rate"]
dropout = hyperparams.get("dropout", 0.3)
val_to_return = (math.log10(rate) + 2) ** 2 + 0.25 + 0 * dropout
