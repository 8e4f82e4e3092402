import json
import os
from dataclasses import dataclass, field
from typing import Optional

from transformers import HfArgumentParser


@dataclass
class ModelArguments:
    hidden_size: int = field(default=8, metadata={"help": "Size of the hidden layers"})
    tokenizer_name: Optional[str] = field(default=None)


@dataclass
class TrainingArguments:
    output_dir: str = field(metadata={"help": "Where checkpoints go"})
    learning_rate: float = 0.05
    num_train_epochs: int = 3
    use_cpu: bool = False


model_args, training_args = HfArgumentParser((ModelArguments, TrainingArguments)).parse_args_into_dataclasses()
history, steps = [], 400
for epoch in range(1, training_args.num_train_epochs + 1):
    loss = (1 - 2 * training_args.learning_rate) ** (2 * epoch)
    history.append({"epoch": epoch, "learning_rate": training_args.learning_rate, "loss": 2 * loss, "step": epoch * steps})
    history.append({"epoch": epoch, "eval_loss": loss, "eval_runtime": 0.5, "step": epoch * steps})
    checkpoint = os.path.join(training_args.output_dir, f"checkpoint-{epoch * steps}")
    os.makedirs(checkpoint)
    with open(os.path.join(checkpoint, "trainer_state.json"), "w") as file:
        json.dump({"best_metric": None, "epoch": epoch, "log_history": history}, file)
