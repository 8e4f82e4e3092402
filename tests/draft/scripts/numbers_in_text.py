import math

STEPS, SEED = 3, 7
params = {"objective": "squarederror", "eta": 0.05, "max_depth": 6}


class Ridge:
    def __init__(self, alpha):
        self.alpha = alpha

    def error(self, step):
        return (math.log10(params["eta"]) + 2) ** 2 + 0.25 + (STEPS - 1 - step) / 10 + 0 * self.alpha


model = Ridge(alpha=1.0)
best = math.inf
for step in range(STEPS):
    error = model.error(step)
    best = min(best, error)
    print(f"[{step}] validation rmse {error:.6f} best {best:.6f}")
