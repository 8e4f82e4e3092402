"""What a script printed or wrote, and what of it may be the objective."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.core.objective import Direction
from candle_hpo.draft.objectives import (
    file_candidates,
    judged,
    name_in_each_trial,
    printed_candidates,
    with_name,
    worth_showing,
)
from candle_hpo.launch.measuring.result_pattern import ResultPattern

DOWN, UP = Direction.MINIMIZE, Direction.MAXIMIZE


@pytest.mark.parametrize(
    ("line", "name", "value", "direction"),
    [
        ("val_loss: 0.25", "val_loss", 0.25, DOWN),
        ("Test set: Average loss: 0.0331, Accuracy: 9887/10000 (99%)", "Average loss", 0.0331, DOWN),
        (
            "Accuracy of the network on the 10000 test images: 54.2 %",
            "Accuracy of the network on the test images",
            54.2,
            UP,
        ),
        ("{'eval_loss': 1.5, 'epoch': 3.0}", "eval_loss", 1.5, DOWN),
        ('{"epoch": 3, "val_f1": 0.75}', "val_f1", 0.75, UP),
        ("test RMSE = 1.2e-05", "test RMSE", 1.2e-05, DOWN),
        ("2026-01-02 03:04:05,678 INFO epoch=3 valid_auc=0.91 lr=0.1", "valid_auc", 0.91, UP),
        ("Final score is -3.5.", "Final score", -3.5, UP),
        ("Validation: R2 0.8, MAE 0.1", "MAE", 0.1, DOWN),
        ("acc 0.5 | val acc 0.4 | 12.5s", "val acc", 0.4, UP),
        ("test/loss=tensor(0.25, device='cpu')", "test/loss", 0.25, DOWN),
        ("1 - accuracy: 0.02", "1 - accuracy", 0.02, DOWN),
        ("Error rate (1-acc): 0.2", "1 - acc", 0.2, DOWN),
        ("1 - loss: 0.5", "1 - loss", 0.5, None),
        ("accuracy: 0.99 (train), 0.7 (test)", "accuracy (test)", 0.7, UP),
        ("RMSE 1.5 (val) / 0.5 (train)", "RMSE (val)", 1.5, DOWN),
        ("adjusted R^2: 0.81", "adjusted R^2", 0.81, UP),
        ("F1-score (macro): 0.5", "F1-score (macro)", 0.5, UP),
        (
            "Fold 1\n epoch 1: val_loss=0.3\n epoch 2: val_loss=0.2\nFold 2\n epoch 1: val_loss=0.1\n"
            "Mean val_loss: 0.15",
            "Mean val_loss",
            0.15,
            DOWN,
        ),
        ("mAP@0.5: 0.43", "mAP@0.5", 0.43, UP),
        ("1 - loss: 0.5\n2 - loss: 0.25", "loss", 0.25, DOWN),
        ("test_neg_log_loss: -0.0888 +/- 0.01", "test_neg_log_loss", -0.0888, UP),
        ("negative log likelihood: 12.5", "negative log likelihood", 12.5, DOWN),
        ("CV MSE: -29.5", "CV MSE", -29.5, UP),
        ("mean squared error: -29.5", "mean squared error", -29.5, UP),
        ("test R squared: -0.5", "test R squared", -0.5, UP),
        ("0.98 accuracy with a standard deviation of 0.02", "accuracy", 0.98, UP),
        ("Test Score: 47.53 RMSE", "Test Score RMSE", 47.53, DOWN),
        ("score 0.9, loss 0.5", "loss", 0.5, DOWN),
        ("Concordance index: 0.713", "Concordance index", 0.713, UP),
        ("mIoU: 0.800 | time: 0.95", "mIoU", 0.8, UP),
        ("95.2% accuracy", "accuracy", 95.2, UP),
        ("accuracy 0.9, std 0.01", "accuracy", 0.9, UP),
        ("|    ep_rew_mean          | 20.5        |", "ep_rew_mean", 20.5, UP),
        ("ELBO loss: -29.5", "ELBO loss", -29.5, DOWN),
        ("loss 0.5 (was 0.7), 3.2 s", "loss", 0.5, DOWN),
        ("[100]\ttraining's l2: 0.25\tvalid_1's l2: 0.5", "valid_1's l2", 0.5, DOWN),
        ("[100]\tvalid_0's auc: 0.75", "valid_0's auc", 0.75, UP),
    ],
)
def test_the_likeliest_number_of_a_line(
    line: str, name: str, value: float, direction: Direction | None, tmp_path: Path
) -> None:
    first = printed_candidates(f"starting\n{line}\ndone in 3 s\n")[0]
    assert (first.name, first.value, first.direction) == (name, value, direction)
    output = tmp_path / "output.txt"
    output.write_text(f"starting\n{line}\ndone in 3 s\n")
    assert any(finds(pattern, output, value) for pattern in first.patterns)


def test_a_pattern_does_not_depend_on_how_long_something_took(tmp_path: Path) -> None:
    lines = "1/4 - 2s 450ms/step - loss: 0.5\n2/4 - 0s 78ms/step - loss: 0.25\n"
    found = printed_candidates(lines)
    assert [(each.name, each.value, each.times) for each in found] == [("loss", 0.25, 2)]
    output = tmp_path / "output.txt"
    output.write_text(lines.replace("78ms", "1.5s"))
    assert all(finds(pattern, output, 0.25) for pattern in found[0].patterns)


def finds(pattern: str, output: Path, value: float) -> bool:
    try:
        return ResultPattern(pattern).find(output).value == value
    except ValueError:
        return False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello\n",
        "epoch 3\ntook 4 s, 3 epochs, lr 0.1, memory: 2 GB\n",
        "loss: nan\n",
        "Train/Test accuracy: 0.99 / 0.93\n",
    ],
)
def test_no_number_that_could_be_meant(text: str) -> None:
    assert printed_candidates(text) == []


def test_lines_that_repeat_have_steps() -> None:
    text = "".join(f"Epoch {epoch}/3 - loss: {1 / epoch:.2f} - val_loss: {2 / epoch:.2f}\n" for epoch in (1, 2, 3))
    first, second = printed_candidates(text)
    assert (first.name, first.times, first.has_step, first.value) == ("val_loss", 3, True, 0.67)
    assert second.name == "loss"
    assert first.patterns[0].startswith(r"\bEpoch +(?P<epoch>\d+)/")


@pytest.mark.parametrize(
    ("first", "last", "names"),
    [
        ("Test", "Train", ["best rmse", "Train: loss"]),
        ("Train", "Test", ["Test: loss", "best rmse"]),
        ("fold a", "fold b", ["loss", "best rmse"]),
    ],
)
def test_a_line_under_several_headings_is_of_the_last(first: str, last: str, names: list[str]) -> None:
    text = f"best rmse: 2.5\n== {first} ==\n  loss: 0.5\n== {last} ==\n  loss: 0.25\n"
    assert sorted(each.name for each in printed_candidates(text)) == sorted(names)
    if "Train" in (first, last):
        assert printed_candidates(text)[0].name == names[0]


def test_a_number_as_r_prints_it(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    output.write_text("[1] 3\n[1] 0.98\n")
    (found,) = printed_candidates(output.read_text())
    assert (found.value, found.is_bare) == (0.98, True)
    assert finds(found.patterns[0], output, 0.98)
    assert with_name(found, "accuracy", UP).worth > found.worth
    assert with_name(printed_candidates("[1] -2.5\n")[0], "mse", DOWN).direction is UP
    assert printed_candidates("[1] 0.5 0.25\n[2] 0.5\n") == []


def test_a_number_alone_behind_one_that_counts(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    output.write_text("".join(f"{epoch} {1 / (epoch + 1)}\n" for epoch in range(5)))
    (found,) = printed_candidates(output.read_text())
    assert (found.value, found.times, found.has_step, found.is_bare) == (0.2, 5, True, True)
    assert found.patterns[0].startswith(r"^[ \t]*(?P<step>\d+) +(?P<value>")
    assert finds(found.patterns[0], output, 0.2)
    assert printed_candidates("8 4\n") == []


def test_a_number_that_counts_the_lines_is_the_step() -> None:
    text = "".join(f"Episode {at}\tLast reward: {at / 2}\tAverage reward: {at / 4}\n" for at in (10, 20, 30))
    first, second = printed_candidates(text)
    assert (first.name, first.has_step, second.name) == ("Average reward", True, "Last reward")
    assert first.patterns[0].startswith(r"\bEpisode +(?P<step>\d+)")


def test_a_pattern_misses_no_line_in_which_another_number_is_not_one(tmp_path: Path) -> None:
    line = "epoch {} loss {} val_loss {}\n"
    pattern = printed_candidates(line.format(1, 0.5, 0.25) + line.format(2, 0.4, 0.2))[0].patterns[0]
    output = tmp_path / "output.txt"
    output.write_text(line.format(1, 0.5, 0.25) + line.format(2, "nan", 0.125))
    assert ResultPattern(pattern).find(output).value == 0.125
    output.write_text(line.format(1, 0.5, 0.25) + line.format(2, 0.5, "nan"))
    with pytest.raises(ValueError, match="nan"):
        ResultPattern(pattern).find(output)


@pytest.mark.parametrize(
    ("printed", "later", "names", "value"),
    [
        ("Epoch 1 loss: 0.5 acc: 0.1\nEpoch 2 acc: 0.2 loss: 0.4", "Epoch 1 loss: 0.3 acc: 0.3", {"loss", "acc"}, 0.3),
        ("Epoch 1 [best] loss: 0.5\nEpoch 2 loss: 0.6", "Epoch 1 [best] loss: 0.3", {"loss"}, 0.3),
        ("Epoch 1 loss: 0.5\nEpoch 2 * loss: 0.4", "Epoch 1 loss: 0.3", {"loss"}, 0.3),
        ("loss: 0.5, best loss: 0.5", "loss: 0.4, best loss: 0.25", {"loss", "best loss"}, 0.4),
        ("epoch 1: loss 0.5\nFinal loss 0.5", "epoch 1: loss 0.3\nFinal loss 0.25", {"loss", "Final loss"}, 0.25),
        (
            "train | epoch 1 | loss 0.1\nvalid | epoch 1 | loss 0.4",
            "valid | epoch 1 | loss 0.3\ntrain | epoch 1 | loss 0.2",
            {"loss"},
            0.3,
        ),
    ],
)
def test_a_pattern_finds_the_same_in_other_kinds_of_lines_and_nothing_else(
    printed: str, later: str, names: set[str], value: float, tmp_path: Path
) -> None:
    found = [each for each in printed_candidates(printed) if each.name in names]
    assert {each.name for each in found} == names
    (tmp_path / "out.txt").write_text(f"{printed}\n{later}\n")
    likeliest = next(each for each in found if "acc" not in each.name)
    assert ResultPattern(likeliest.patterns[0]).find(tmp_path / "out.txt").value == value


def test_lines_of_one_measurement_are_counted_together() -> None:
    lines = "".join(f"Epoch {number}{' [best]' * (number % 2)} loss: {1 / number}\n" for number in range(1, 7))
    assert [(each.name, each.times) for each in printed_candidates(lines)] == [("loss", 6)]
    headings = "".join(f"Training\n  loss: 0.{number}\nValidation\n  loss: 0.9\n" for number in range(1, 4))
    assert [(each.name, each.times) for each in printed_candidates(headings)] == [("Validation: loss", 3)]


def test_what_only_repeats_a_hyperparameter_is_not_shown() -> None:
    found = printed_candidates("alpha: 0.5\nbeta: 2\ncost: 3\n")
    assert [each.name for each in worth_showing(found, {"alpha"})] == ["cost"]
    assert [each.name for each in worth_showing(printed_candidates("alpha: 0.5\nbeta: 2\n"), {"alpha"})] == ["beta"]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", "epoch,loss,val_loss\n1,3,4\n2,1,2\n", [("val_loss", 2.0, 2), ("loss", 1.0, 2)]),
        ("a.tsv", "name\tscore\nx\t0.5\n", [("score", 0.5, 1)]),
        ("a.json", '{"test": {"auc": 0.5, "time": 3}, "args": {"loss_weight": 1}}', [("test.auc", 0.5, 1)]),
        ("a.json", "[0.5, 0.25]", []),
        ("loss.json", "0.25", [("", 0.25, 1)]),
        ("a.jsonl", '{"step": 1, "reward": 1}\n{"step": 2, "reward": 3}\n', [("reward", 3.0, 2)]),
        ("a.json", "not JSON", []),
        ("history.json", '{"lr": [1, 2], "val_loss": [0.5, 0.25], "names": ["a"]}', [("val_loss[-1]", 0.25, 2)]),
        (
            "trainer_state.json",
            '{"epoch": 2.0, "log_history": [{"loss": 1, "step": 1}, {"eval_loss": 0.5}, {"loss": 3, "step": 2}]}',
            [("log_history[*].eval_loss", 0.5, 1), ("log_history[*].loss", 3.0, 2)],
        ),
        ("a.txt", "loss,1", []),
    ],
)
def test_the_numbers_in_a_file(name: str, text: str, found: list[tuple[str, float, int]]) -> None:
    candidates = [each for each in file_candidates(name, text) if each.direction is not None]
    assert [(each.key, each.value, each.times) for each in candidates] == found


@pytest.mark.parametrize(
    ("name", "in_each_trial"),
    [
        ("log.csv", "log.csv"),
        ("fold_1/log.csv", "fold_1/log.csv"),
        ("lr0.1/layers3.json", "lr0.1/layers3.json"),
        ("run_20260102_101500.csv", "run_*.csv"),
        ("outputs/2026-01-02/10-15-00/log.csv", "outputs/*/*/log.csv"),
        ("logs/version_0/metrics.csv", "logs/version_*/metrics.csv"),
        ("out/checkpoint-500/trainer_state.json", "out/checkpoint-*/trainer_state.json"),
        ("runs/exp2/results.csv", "runs/exp*/results.csv"),
        ("runs/Jan02_10-15-00_node1/events.out.tfevents.1.node1.2.0", "runs/*/events.out.tfevents.*"),
        ("tb/train/events.out.tfevents.1.node1.2.0.v2", "tb/train/events.out.tfevents.*"),
    ],
)
def test_the_name_of_a_file_in_each_trial(name: str, in_each_trial: str) -> None:
    assert name_in_each_trial(name) == in_each_trial


def test_a_number_before_its_name_is_found_by_that_name() -> None:
    text = "0.5\n0.98 accuracy with a standard deviation of 0.02\n3 files\n"
    (found,) = (each for each in printed_candidates(text) if each.name == "accuracy")
    assert [each.value for each in ResultPattern(found.patterns[0]).occurrences(text, 0)] == [0.98]


def test_names_and_directions() -> None:
    assert judged("val_loss", "")[0] is DOWN
    assert judged("validation accuracy", "")[0] is UP
    assert judged("learning rate", "") == (None, -1)
    assert judged("something", "")[0] is None
    assert judged("val_loss", "")[1] > judged("loss", "")[1] > judged("train_loss", "")[1]
    assert judged("loss", "Test set: ")[1] > judged("loss", "Train Epoch: ")[1]


def test_the_scores_of_an_improve_model_come_first() -> None:
    scores = '{"mse": 0.5, "rmse": 0.7, "pcc": 0.8, "scc": 0.8, "r2": 0.6}'
    found = file_candidates("val_scores.json", scores)
    epochs = printed_candidates("".join(f"Epoch: {n}, val_loss: {1 / n}\n" for n in range(1, 9)))
    assert (found[0].key, found[0].direction) == ("mse", DOWN)
    assert found[0].worth > epochs[0].worth


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("  fold train_error cv_error\n1    1   0.1   0.5\n2    2   0.1   0.4\n", "cv_error", 0.4),
        (" rmse \n0.25 \n", "rmse", 0.25),
        ("   rmse    mae \n0.25000 0.05000 \n", "rmse", 0.25),
    ],
)
def test_numbers_as_r_prints_them(text: str, name: str, value: float) -> None:
    found = {each.name: each.value for each in printed_candidates(text)}
    assert found[name] == value


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("neg_log_loss", UP),
        ("negative log likelihood", DOWN),
        ("neg_r2", DOWN),
        ("cats_f_per_type.NEGATIVE.r", UP),
        ("recall (negative)", UP),
        ("negative_precision", UP),
        ("false negative error", DOWN),
        ("negative/val_loss", DOWN),
    ],
)
def test_a_class_that_is_called_negative_turns_nothing_around(name: str, direction: Direction) -> None:
    assert judged(name, "")[0] is direction


def test_a_table_whose_headings_have_blanks() -> None:
    text = (
        "i Initial learn rate: 0.001\n"
        "E    #       LOSS TEXTCAT  CATS_SCORE  SCORE \n---  ------  ------------  ----------  ------\n"
        "  0       0          0.25       33.33    0.33\n  2      10          2.45      100.00    1.00\n"
    )
    found = {each.name: each for each in printed_candidates(text)}
    assert {name: each.value for name, each in found.items() if each.direction} == {
        "LOSS TEXTCAT": 2.45, "CATS_SCORE": 100.0, "SCORE": 1.0,
    }  # fmt: skip
    assert found["SCORE"].has_step
    assert found["SCORE"].worth > found["LOSS TEXTCAT"].worth
    result = ResultPattern(found["SCORE"].patterns[0])
    assert [(each.step, each.value) for each in result.occurrences(text, 0)] == [(0, 0.33), (10, 1.0)]


def test_precision_recall_and_f_are_scores_of_an_evaluation() -> None:
    text = "LOSS \t  P  \t  R  \t  F  \n1.508\t0.900\t0.917\t0.908\n0.470\t0.910\t0.950\t0.930\n"
    found = {each.name: each for each in printed_candidates(text)}
    assert (found["F-score"].value, found["F-score"].direction) == (0.93, UP)
    assert found["F-score"].worth > found["LOSS"].worth
    result = ResultPattern(found["F-score"].patterns[0])
    assert [each.value for each in result.occurrences(text, 0)] == [0.908, 0.93]


def test_the_scores_of_single_classes_come_behind_those_of_all() -> None:
    scores = '{"f_per_class": {"good": {"f1": 0.7}}, "macro_f1": 0.8}'
    assert file_candidates("meta.json", scores)[0].key == "macro_f1"
