param.set <- makeParamSet(
  makeNumericParam("a", lower = 1e-04, upper = 1e01),
  makeNumericParam("b", lower = -.5, upper = 5.),
  makeIntegerParam("c", lower = 2L, upper = 0x10),
  makeNumericParam("d", lower = -1.5E+2, upper = +3),
  makeDiscreteParam("e", values = c(1e-6, 1e-8, 2.5, 3L, 1e3, -4))
)
