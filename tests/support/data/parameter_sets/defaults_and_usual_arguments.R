param.set <- makeParamSet(
  makeNumericParam("dropout", lower = 0, upper = 0.5, default = 0.25, tunable = TRUE),
  makeIntegerParam("epochs", lower = 1, upper = 5, default = 2L, trafo = NULL, requires = NULL),
  makeDiscreteParam("activation", values = c("relu", "tanh"), default = "tanh"),
  makeNumericParam("gain", lower = 0, upper = 1, allow.inf = FALSE, special.vals = list())
)
