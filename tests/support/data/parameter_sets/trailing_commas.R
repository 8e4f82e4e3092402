param.set <- makeParamSet(
  makeDiscreteParam("batch_size", values = c(30, 60, 120)),
  makeIntegerParam("epochs", lower = 1, upper = 3),
)
