import math

import click


@click.command()
@click.option("--learning-rate", "-l", default=0.003, show_default=True, type=click.FloatRange(1e-4, 0.01))
@click.option("--depth", default=3, type=click.IntRange(1, 4))
@click.option("--kind", type=click.Choice(["linear", "rbf"]), default="rbf")
@click.option("--shuffle/--no-shuffle", default=True)
def main(learning_rate, depth, kind, shuffle):
    assert 1e-4 <= learning_rate <= 0.01 and kind == "rbf" and shuffle
    click.echo(f"val_loss={(math.log10(learning_rate) + 2) ** 2 + 0.25:.8f} depth={depth}")


if __name__ == "__main__":
    main()
