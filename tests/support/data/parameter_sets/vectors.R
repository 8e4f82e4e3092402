param.set <- makeParamSet(
  makeNumericVectorParam("dropouts", len = 3, lower = 0, upper = 0.5),
  makeIntegerVectorParam("hidden", len = 2L, lower = c(16, 8), upper = c(64, 32)),
  makeIntegerVectorParam("powers", len = 2, lower = 3, upper = 7, trafo = function(x) 2^x),
  makeDiscreteVectorParam("activations", len = 2, values = c("relu", "tanh")),
  makeLogicalVectorParam("flags", len = 3)
)
