import argparse

import jax
import jax.numpy as jnp

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=0.05)
parser.add_argument("--num-steps", type=int, default=30)
args = parser.parse_args()


@jax.jit
def update(weight):
    loss, slope = jax.value_and_grad(lambda w: jnp.mean((w * jnp.ones(8) - 1) ** 2))(weight)
    return weight - args.learning_rate * slope, loss


weight = jnp.zeros(())
for step in range(args.num_steps):
    weight, loss = update(weight)
    if step % 10 == 9:
        print(f"step {step + 1}, training loss {loss}")
print("Validation loss:", jnp.mean((weight - 1) ** 2))
