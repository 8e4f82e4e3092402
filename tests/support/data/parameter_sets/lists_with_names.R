param.set <- makeParamSet(
  makeDiscreteParam("optimizer", values = list(fast = "adam", plain = "sgd")),
  makeDiscreteParam("hidden", values = list(small = c(64, 32), large = c(512, 256, 128))),
  makeDiscreteParam("limit", values = list(none = FALSE, ten = 10, tenth = 0.1)),
  makeDiscreteParam("pool", values = c(small = 2L, large = 4L))
)
