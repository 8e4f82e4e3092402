import argparse
import logging
import math

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.001)
args = parser.parse_args()
logging.info("arguments: %s", args)
for epoch in range(3):
    logging.info("epoch=%d train_nll=%.4f dev_ppl=%.4f", epoch, 0.5, (math.log10(args.lr) + 2) ** 2 + 0.25 + 2 - epoch)
logging.info("done in 3.2 seconds, 14000 parameters")
