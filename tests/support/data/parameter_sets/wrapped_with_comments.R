# A first search over a small network.
# It isn't meant for production: don't read too much into it.

param.set <- makeParamSet(
  ## how much at a time
  makeDiscreteParam("batch_size", values = c(24, 48, 96)),   # multiples of 24, "just because"
#  makeDiscreteParam("activation", values = c("relu", "elu")),
  # makeIntegerParam("epochs", lower = 1, upper = 1),
  makeIntegerParam("epochs", lower = 4, upper = 12)
  ## that's all
)
