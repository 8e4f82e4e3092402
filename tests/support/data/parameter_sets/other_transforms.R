param.set <- makeParamSet(
  makeIntegerParam("tenths", lower = 1, upper = 9, trafo = function(x) x / 10),
  makeIntegerParam("odd", lower = 1, upper = 6, trafo = function(x) 2L * x - 1L),
  makeNumericParam("rate", lower = 0, upper = 2, trafo = function(x) 10^x - 1),
  makeNumericParam("negative", lower = 1, upper = 3, trafo = function(x) -x^2),
  makeNumericParam("root", lower = 0, upper = 16, trafo = function (v) {
    sqrt(v) / (1 + abs(v))^0.25
  }),
  makeNumericParam("capped", lower = 0, upper = 10, trafo = function(x) min(max(x, 2), 8)),
  makeNumericParam("digits", lower = 0, upper = 1, trafo = function(x) round(x, digits = 2)),
  makeIntegerParam("steps", lower = 0, upper = 12, trafo = function(x) 16 * (x %/% 3) + x %% 3),
  makeIntegerParam("falling", lower = 1, upper = 8, trafo = function(x) 10^-x)
)
