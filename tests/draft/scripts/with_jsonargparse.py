import math
from dataclasses import dataclass
from typing import List, Optional

from jsonargparse import auto_cli


@dataclass
class Optimizer:
    lr: float = 0.05
    betas: List[float] = (0.9, 0.999)
    clip: Optional[float] = None


def fit(optimizer: Optimizer, width: int = 16, bias: bool = True):
    loss = (math.log10(optimizer.lr) + 2) ** 2 + 0.25
    print(f"fitted {width} units; val_loss: {loss}")


def predict(checkpoint: str):
    raise NotImplementedError


auto_cli([fit, predict], as_positional=False)
