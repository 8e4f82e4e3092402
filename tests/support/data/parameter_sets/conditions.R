param.set <- makeParamSet(
  makeDiscreteParam("optimizer", values = c("sgd", "adam", "rmsprop")),
  makeNumericParam("momentum", lower = 0, upper = 0.99, requires = quote(optimizer == "sgd")),
  makeNumericParam("beta_1", lower = 0.8, upper = 0.999, requires = quote(optimizer != "sgd")),
  makeLogicalParam("nesterov", requires = quote(optimizer == "sgd" && momentum > 0.5)),
  makeIntegerParam("layers", lower = 1, upper = 3),
  makeIntegerParam("units_2", lower = 16, upper = 64, requires = expression(layers >= 2)),
  makeIntegerParam("units_3", lower = 16, upper = 64, requires = quote(layers > 2L)),
  makeNumericParam("rho", lower = 0, upper = 1, requires = quote(optimizer %in% c("rmsprop", "adam") & !(layers == 1))),
  makeNumericParam("extra", lower = 0, upper = 1, requires = quote(layers == 1 | optimizer == "adam"))
)
