train_params = [
    {"name": "graph_layers", "type": int, "default": 3, "help": "Graph convolutions."},
    {"name": "readout", "type": str, "choices": ["mean", "max"], "default": "mean", "help": "Readout."},
]
