param.set <- makeParamSet(
  makeNumericParam(
    "learning_rate",
    lower = 0.001,
    upper = 0.3
  )
  ,
  makeDiscreteParam(
    "activation",   # the one between the layers
    values =
      c("relu",
        # "gelu",
        "tanh")
  )
)
