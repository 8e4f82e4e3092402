ParamHelpers::makeParamSet(
  ParamHelpers::makeNumericParam("rate", lower = 1/8, upper = 3/4),
  ParamHelpers::makeIntegerParam("depth", lower = 3 - 1, upper = 2 * 5)
)
