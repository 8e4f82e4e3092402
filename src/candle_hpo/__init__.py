"""candle: hyperparameter optimization for scientists who have a model script and a cluster."""

__version__ = "0.1.0"
