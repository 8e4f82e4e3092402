param.set <- makeParamSet(
  makeDiscreteParam("folds", values = 3:6),
  makeDiscreteParam("batch_size", values = 2^(4:7)),
  makeDiscreteParam("momentum", values = c(0.001, seq(0.1, 0.9, 0.2))),
  makeDiscreteParam("threshold", values = seq(0, 1, length.out = 5)),
  makeDiscreteParam("learning_rate", values = 10^(-4:-1)),
  makeDiscreteParam("width", values = c(1, 2, 5) * 100)
)
