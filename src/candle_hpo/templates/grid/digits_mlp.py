"""A multilayer perceptron that reads handwritten digits (scikit-learn's bundled data, 8 x 8 pixels).

The dictionary `hyperparams` is there when candle runs the script; what `val_to_return` holds in the end, the
loss on validation data, is what candle minimizes.
"""

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

images, digits = load_digits(return_X_y=True)
images = images / 16.0
train_images, validation_images, train_digits, validation_digits = train_test_split(
    images, digits, test_size=0.25, random_state=0, stratify=digits
)

model = MLPClassifier(
    hidden_layer_sizes=(hyperparams["hidden_units"],),
    activation=hyperparams["activation"],
    learning_rate_init=hyperparams["learning_rate"],
    max_iter=1,
    warm_start=True,
    random_state=0,
)
for epoch in range(1, hyperparams["epochs"] + 1):
    model.partial_fit(train_images, train_digits, classes=range(10))
    validation_loss = log_loss(validation_digits, model.predict_proba(validation_images), labels=range(10))
    print(f"epoch {epoch}: validation loss {validation_loss:.4f}")

print(f"validation accuracy {model.score(validation_images, validation_digits):.4f}")
val_to_return = validation_loss
