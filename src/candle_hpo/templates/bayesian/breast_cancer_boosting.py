"""Gradient boosting that distinguishes malignant from benign tumours (scikit-learn's bundled data, 569 samples of 30 measurements).

The dictionary `hyperparams` is there when candle runs the script; what `val_to_return` holds in the end, the mean accuracy
of a cross-validation, is what candle maximizes.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

measurements, diagnoses = load_breast_cancer(return_X_y=True)

model = GradientBoostingClassifier(
    learning_rate=hyperparams["learning_rate"],
    n_estimators=hyperparams["trees"],
    max_depth=hyperparams["depth"],
    subsample=hyperparams["subsample"],
    max_features=None if hyperparams["max_features"] == "all" else hyperparams["max_features"],
    random_state=0,
)
folds = StratifiedKFold(n_splits=4, shuffle=True, random_state=0)
accuracies = cross_val_score(model, measurements, diagnoses, cv=folds)
print("accuracy of each fold:", ", ".join(f"{accuracy:.4f}" for accuracy in accuracies))
val_to_return = accuracies.mean()
