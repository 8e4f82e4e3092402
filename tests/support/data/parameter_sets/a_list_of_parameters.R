require(ParamHelpers)
ps = makeParamSet(params = list(
  makeNumericParam("x1", lower = -5, upper = 5),
  makeNumericParam("x2", lower = -10, upper = 20)
))
