import json
import math
import sys
from pathlib import Path

from improvelib.applications.drug_response_prediction.config import DRPTrainConfig
from model_params_def import train_params

filepath = Path(__file__).resolve().parent


def main(args):
    cfg = DRPTrainConfig()
    params = cfg.initialize_parameters(
        pathToModelDir=filepath, default_config="graphs_params.ini", additional_definitions=train_params
    )
    assert (Path(params["input_dir"]) / "train_data.csv").is_file()
    mse = (math.log10(params["learning_rate"]) + 2) ** 2 + 0.25
    scores = {"mse": mse, "rmse": math.sqrt(mse), "pcc": 0.5, "scc": 0.4, "r2": 0.3}
    Path(params["output_dir"], "val_scores.json").write_text(json.dumps(scores))


if __name__ == "__main__":
    main(sys.argv[1:])
