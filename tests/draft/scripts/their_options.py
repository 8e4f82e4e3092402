import argparse


def parse():
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for name, default in {"lr": 0.004, "epochs": 5}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help="what it says")
    return parser.parse_args()
