-- candle: hyperparameter optimization. Put this into a module path as candle/0.1.0.lua.

local root = "/opt/candle/0.1.0"

whatis("candle: hyperparameter optimization for your own model script")
help("candle import-template grid, then candle submit-job grid_example.in")

-- This folder holds the one command; that of the environment's Python stays out of the users' PATH.
prepend_path("PATH", pathJoin(root, "command"))

-- setenv("CANDLE_SITE", "/opt/candle/our-cluster.toml")
