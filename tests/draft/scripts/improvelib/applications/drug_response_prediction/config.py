"""Reads parameters as improvelib 0.1 does, from a file and the command line; it is not that library."""

import argparse
import configparser


class DRPTrainConfig:
    def initialize_parameters(self, pathToModelDir, default_config, additional_definitions):
        declared = [
            {"name": "input_dir", "type": str, "default": "./"},
            {"name": "output_dir", "type": str, "default": "./"},
            {"name": "epochs", "type": int, "default": 7},
            {"name": "learning_rate", "type": float, "default": 7},
            {"name": "batch_size", "type": int, "default": 7},
            {"name": "early_stop_metric", "type": str, "default": "mse"},
            {"name": "metric_type", "type": str, "default": "regression"},
            *additional_definitions,
        ]
        file = configparser.ConfigParser()
        file.read(pathToModelDir / default_config)
        parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        for each in declared:
            default = each["type"](file["Train"].get(each["name"], each["default"]))
            parser.add_argument(
                f"--{each['name']}", type=each["type"], choices=each.get("choices"), default=default, help="A value."
            )
        return vars(parser.parse_args())
