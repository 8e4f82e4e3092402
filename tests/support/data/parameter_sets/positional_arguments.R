param.set <- makeParamSet(
  makeNumericParam("dropout", 0.1, 0.5),
  makeIntegerParam("layers", 1, 4),
  makeDiscreteParam("optimizer", c("sgd", "adam")),
  makeNumericParam(upper = 2, "decay", lower = 1),
  makeNumericParam(upper = 9, id = "gain", 3)
)
