import argparse

import numpy as np
import xgboost as xgb

parser = argparse.ArgumentParser()
parser.add_argument("--eta", type=float, default=0.3)
parser.add_argument("--max_depth", type=int, default=3)
parser.add_argument("--num_boost_round", type=int, default=5)
args = parser.parse_args()
data = xgb.DMatrix(np.arange(20.0).reshape(20, 1), np.ones(20))
params = {"eta": args.eta, "max_depth": args.max_depth, "lambda": 0, "base_score": 0, "nthread": 1}
xgb.train(params, data, args.num_boost_round, evals=[(data, "train"), (data, "eval")])
