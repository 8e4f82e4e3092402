import math
from dataclasses import dataclass, field
from typing import Literal

import tyro


@dataclass
class Optimizer:
    lr: float = 3e-3
    weight_decay: float = 0.0


@dataclass
class Config:
    optim: Optimizer = field(default_factory=Optimizer)
    batch_size: int = 32
    schedule: Literal["constant", "cosine"] = "constant"
    compile: bool = False


config = tyro.cli(Config)
print({"epoch": 1, "loss": 0.5, "val_loss": (math.log10(config.optim.lr) + 2) ** 2 + 0.25})
