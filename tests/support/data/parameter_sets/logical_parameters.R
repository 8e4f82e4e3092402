library(ParamHelpers)
param.set <- makeParamSet(
  makeLogicalParam("nesterov"),
  makeLogicalParam("early_stopping"),
  makeNumericParam("momentum", lower = 0, upper = 1e00)
)
