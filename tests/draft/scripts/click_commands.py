import math

import click


@click.group()
def main():
    pass


@main.command("train")
@click.option("--lr", default=0.004)
@click.argument("steps", type=int, default=2)
def train_model(lr, steps):
    for step in range(1, steps + 1):
        click.echo(f"{step} {(math.log10(lr) + 2) ** 2 + 0.25 + steps - step:.6f}")
    click.echo(f"error rate: {(math.log10(lr) + 2) ** 2 + 0.25:.6f}")


@main.command()
@click.option("--what")
def show(what):
    pass


main()
