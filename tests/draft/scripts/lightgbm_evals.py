import argparse

import lightgbm as lgb
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--num_leaves", type=int, default=31)
args = parser.parse_args()
x = np.repeat([[0.0], [1.0]], 50, axis=0)
y = 2 * x[:, 0] - 1
train = lgb.Dataset(x, y)
params = {
    "objective": "regression",
    "metric": "l2",
    "learning_rate": args.learning_rate,
    "num_leaves": args.num_leaves,
    "num_threads": 1,
    "verbose": -1,
}
lgb.train(params, train, 4, valid_sets=[train, train.create_valid(x, y)], callbacks=[lgb.log_evaluation()])
