import math

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_float("learning_rate", 0.02, "the rate", lower_bound=0.001)
flags.DEFINE_integer("num_hidden", 32, "units")
flags.DEFINE_enum("activation", "relu", ["relu", "tanh"], "what it says")
flags.DEFINE_boolean("use_bias", True, "with a bias")


def main(argv):
    assert FLAGS.use_bias and FLAGS.activation == "relu"
    for step in range(0, 300, 100):
        print(f"step {step:4d} | eval/loss {(math.log10(FLAGS.learning_rate) + 2) ** 2 + 0.25 + (200 - step) / 100:.6f}")


if __name__ == "__main__":
    app.run(main)
