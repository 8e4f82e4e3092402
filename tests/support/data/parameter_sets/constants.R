param.set <- makeParamSet(
  makeIntegerParam("train_steps", lower=150, upper=150),
  makeIntegerParam("epochs", lower = 2, upper = 6),
  makeDiscreteParam("model", values=c("vae"))
)
