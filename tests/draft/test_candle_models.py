"""Models of CANDLE, by their texts and their files of default parameters."""

from __future__ import annotations

from candle_hpo.draft.candle_models import file_of_default_model, is_model_of_candle, options_of_parameter_file


def test_a_model_of_candle_has_the_values_of_its_file() -> None:
    text = "def initialize_parameters(default_model='p1b1.txt'): ...\ndef run(params): ...\n"
    assert is_model_of_candle(text)
    assert file_of_default_model(text) == "p1b1.txt"
    assert not is_model_of_candle("def run(params): ...")
    assert not is_model_of_candle(f"{text}val_to_return = run(initialize_parameters())"), "run as it stands"
    assert not is_model_of_candle("def initialize_parameters(): ...\nclass Trainer:\n    def run(self): ...")
    values = ["dense=[20, 6]", "learning_rate=None", "base_lr=None", "Drop=0.1", "name='x'", "url = %(x)s"]
    parameters = "\n".join(["[Global_Params]", *values, "[Monitor_Params]", "timeout=1"])
    found = {each.name: each for each in options_of_parameter_file(parameters, "p1b1.txt").found}
    assert list(found) == ["dense", "learning_rate", "base_lr", "Drop", "name", "url"]
    assert (found["dense"].default, found["Drop"].default, found["url"].default) == ([20, 6], 0.1, "%(x)s")
    assert (found["learning_rate"].left_alone, bool(found["base_lr"].left_alone)) == ("", True)
