import math
from enum import Enum
from typing import Annotated

import typer


class Kernel(str, Enum):
    linear = "linear"
    rbf = "rbf"


def main(
    lr: float = 0.005,
    hidden_size: Annotated[int, typer.Option("--hidden-size", min=4, max=64)] = 16,
    kernel: Kernel = Kernel.rbf,
    warm: bool = False,
):
    assert 4 <= hidden_size <= 64 and kernel is Kernel.rbf and not warm
    print(f"validation error: {(math.log10(lr) + 2) ** 2 + 0.25}")


typer.run(main)
