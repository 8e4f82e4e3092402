param.set <- makeParamSet(
  makeNumericParam("learning_rate", lower = -5, upper = -1, trafo = function(x) 10^x),
  makeNumericParam("weight_decay", lower = log(1e-6), upper = log(1e-2), trafo = exp),
  makeNumericParam("units", lower = log(16, 2), upper = log(1024, 2), trafo = function(x) round(2^x)),
  makeNumericParam("trees", lower = log10(10), upper = 3, trafo = function(y) as.integer(round(10^y))),
  makeIntegerParam("filters", lower = 0, upper = 4, trafo = function(k) { return(8 * 2^k) })
)
