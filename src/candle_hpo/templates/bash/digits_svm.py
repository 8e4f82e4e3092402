"""A support vector machine that reads handwritten digits (scikit-learn's bundled data, 8 x 8 pixels)."""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--kernel", default="rbf")
parser.add_argument("--penalty", type=float, default=1.0, help="the parameter C")
parser.add_argument("--gamma", type=float, default=0.001)
arguments = parser.parse_args()

images, digits = load_digits(return_X_y=True)
model = SVC(kernel=arguments.kernel, C=arguments.penalty, gamma=arguments.gamma)
accuracies = cross_val_score(model, images, digits, cv=3)
print(f"cross-validated error: {1 - accuracies.mean():.6f}")
