import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--epochs", type=int, default=3)
args = parser.parse_args()
x = y = np.ones((8, 1))
model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(args.lr), loss="mse", metrics=["mae"])
log = keras.callbacks.CSVLogger("training.csv")
model.fit(x, y, batch_size=8, epochs=args.epochs, validation_data=(x, y), callbacks=[log])
