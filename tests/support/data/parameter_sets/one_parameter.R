
param.set <- makeParamSet(
  makeNumericParam("x", lower = 2, upper = 15)
)

