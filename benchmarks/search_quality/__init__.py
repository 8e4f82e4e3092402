"""How good are the best hyperparameters after so many evaluations? See search_quality.md."""
