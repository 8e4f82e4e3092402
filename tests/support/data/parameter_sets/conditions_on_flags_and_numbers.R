param.set <- makeParamSet(
  makeLogicalParam("warmup"),
  makeIntegerParam("warmup_steps", lower = 10, upper = 90, requires = quote(warmup == TRUE)),
  makeDiscreteParam("batch_size", values = c(32, 64, 128)),
  makeNumericParam("for_64", lower = 0, upper = 1, requires = quote(batch_size == 64)),
  makeIntegerParam("power", lower = 3, upper = 6, trafo = function(x) 2^x),
  makeNumericParam("for_small_power", lower = 0, upper = 1, requires = quote(power < 5)),
  makeNumericParam("for_warm", lower = 0, upper = 1, requires = quote(warmup))
)
