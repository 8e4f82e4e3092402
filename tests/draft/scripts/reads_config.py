import argparse
import json
import math

parser = argparse.ArgumentParser()
parser.add_argument("--config", default="config.json")
with open(parser.parse_args().config) as file:
    config = json.load(file)
print("train loss:", config["optimizer"]["lr"])
print("val loss:", (math.log10(config["optimizer"]["lr"]) + 2) ** 2 + 0.25)
