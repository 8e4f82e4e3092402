import math

import fire


def train(lr=0.002, dropout: float = 0.1, layers=2, augment=False):
    assert 0 <= dropout < 1 and augment is False
    print(f"Test RMSE {(math.log10(lr) + 2) ** 2 + 0.25:.5f}")


if __name__ == "__main__":
    fire.Fire(train)
