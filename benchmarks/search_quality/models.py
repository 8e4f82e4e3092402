"""Tasks that are real: models of scikit-learn on its bundled data sets, with cross-validation.

The functions here train models, up to a second each. The benchmark asks a table of them instead: see `tables.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from sklearn import datasets
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from search_quality.task import Assignment, Condition, Task, choice, linear, logarithmic, whole

FOLDS = 3
MOST_SAMPLES = 600
SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler}
Data = tuple[np.ndarray, np.ndarray]
Trainer = Callable[[Assignment, Data], float]


def data_set(name: str) -> Data:
    """Return inputs and targets of a bundled data set, at most 600 samples of it, always the same ones."""
    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(targets))[:MOST_SAMPLES]
    return inputs[chosen], targets[chosen]


def loss(model: Any, data: Data, scoring: str) -> float:
    """Return the mean loss over three folds; a model that diverges counts as its worst finite score."""
    folds = KFold if scoring == "neg_root_mean_squared_error" else StratifiedKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of models that have not converged: that is a matter of the score
        scores = cross_val_score(model, *data, scoring=scoring, cv=folds(FOLDS, shuffle=True, random_state=0))
    return float(1 - scores.mean() if scoring == "accuracy" else -scores.mean())


def support_vectors(given: Assignment, data: Data) -> float:
    """Return the error of a support vector machine."""
    options = {name: given[name] for name in ("C", "kernel", "gamma", "degree", "coef0") if name in given}
    scaler = [SCALERS[given["scaler"]]()] if given["scaler"] else []
    return loss(make_pipeline(*scaler, SVC(**options, max_iter=20_000)), data, "accuracy")


def forest(given: Assignment, data: Data) -> float:
    """Return the log loss, or the root mean square error, of extremely randomized trees."""
    if data[1].dtype == float:
        return loss(ExtraTreesRegressor(**given, random_state=0), data, "neg_root_mean_squared_error")
    return loss(ExtraTreesClassifier(**given, random_state=0), data, "neg_log_loss")


def boosting(given: Assignment, data: Data) -> float:
    """Return the log loss, or the root mean square error, of gradient boosting."""
    if data[1].dtype == float:
        return loss(GradientBoostingRegressor(**given, random_state=0), data, "neg_root_mean_squared_error")
    return loss(GradientBoostingClassifier(**given, random_state=0), data, "neg_log_loss")


def network(given: Assignment, data: Data) -> float:
    """Return the log loss of a neural network with up to three hidden layers, after 25 epochs."""
    options = dict(given)
    layers = [options.pop(f"units_{layer + 1}") for layer in range(options.pop("layers"))]
    model = MLPClassifier(hidden_layer_sizes=layers, max_iter=25, random_state=0, **options)
    return min(loss(make_pipeline(StandardScaler(), model), data, "neg_log_loss"), 10.0)


def linear_model(given: Assignment, data: Data) -> float:
    """Return the error of a linear classifier trained by stochastic gradient descent."""
    model = SGDClassifier(**given, max_iter=30, random_state=0)
    return loss(make_pipeline(StandardScaler(), model), data, "accuracy")


NOT_LINEAR = ("rbf", "poly", "sigmoid")
SPACES: dict[str, tuple[Trainer, dict[str, BaseDistribution], dict[str, Condition]]] = {
    "svm": (
        support_vectors,
        {
            "kernel": choice("linear", *NOT_LINEAR),
            "C": logarithmic(1e-3, 1e3),
            "scaler": choice(None, "standard", "minmax"),
            "gamma": logarithmic(1e-5, 10.0),
            "degree": whole(2, 5),
            "coef0": linear(-1.0, 1.0),
        },
        {
            "gamma": Condition("kernel", NOT_LINEAR),
            "degree": Condition("kernel", ("poly",)),
            "coef0": Condition("kernel", ("poly", "sigmoid")),
        },
    ),
    "forest": (
        forest,
        {
            "n_estimators": whole(4, 64, log=True),
            "max_depth": whole(2, 20),
            "max_features": linear(0.05, 1.0),
            "min_samples_leaf": whole(1, 32, log=True),
            "min_samples_split": whole(2, 20),
            "bootstrap": choice(False, True),
        },
        {},
    ),
    "boosting": (
        boosting,
        {
            "learning_rate": logarithmic(0.005, 1.0),
            "n_estimators": whole(10, 120, log=True),
            "max_depth": whole(1, 7),
            "subsample": linear(0.3, 1.0),
            "max_features": choice("sqrt", "log2", None),
            "min_samples_leaf": whole(1, 50, log=True),
        },
        {},
    ),
    "network": (
        network,
        {
            "solver": choice("adam", "sgd"),
            "learning_rate_init": logarithmic(1e-4, 1.0),
            "alpha": logarithmic(1e-6, 10.0),
            "activation": choice("relu", "tanh", "logistic"),
            "batch_size": choice(16, 32, 64, 128),
            "layers": whole(1, 3),
            "units_1": whole(4, 128, log=True),
            "units_2": whole(4, 128, log=True),
            "units_3": whole(4, 128, log=True),
            "momentum": linear(0.0, 0.99),
        },
        {
            "units_2": Condition("layers", (2, 3)),
            "units_3": Condition("layers", (3,)),
            "momentum": Condition("solver", ("sgd",)),
        },
    ),
    "linear": (
        linear_model,
        {
            "loss": choice("hinge", "log_loss", "modified_huber"),
            "penalty": choice("l2", "l1", "elasticnet"),
            "alpha": logarithmic(1e-6, 1.0),
            "learning_rate": choice("optimal", "constant", "invscaling", "adaptive"),
            "l1_ratio": linear(0.0, 1.0),
            "eta0": logarithmic(1e-5, 10.0),
            "power_t": linear(0.0, 1.0),
        },
        {
            "l1_ratio": Condition("penalty", ("elasticnet",)),
            "eta0": Condition("learning_rate", ("constant", "invscaling", "adaptive")),
            "power_t": Condition("learning_rate", ("invscaling",)),
        },
    ),
}
DATA_SETS = {
    "svm": ("breast_cancer", "digits"),
    "forest": ("diabetes", "digits"),
    "boosting": ("breast_cancer", "diabetes"),
    "network": ("digits", "wine"),
    "linear": ("breast_cancer", "digits"),
}


def model_tasks() -> list[Task]:
    """Return the tasks with functions that train a model at each call."""
    tasks = []
    for family, (trainer, space, conditions) in SPACES.items():
        for name in DATA_SETS[family]:
            data = data_set(name)

            def function(given: Assignment, trainer: Trainer = trainer, data: Data = data) -> float:
                return trainer(given, data)

            tasks.append(Task(f"{family}_{name}", family, space, conditions, function))
    return tasks
