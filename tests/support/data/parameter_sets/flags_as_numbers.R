param.set = makeParamSet(
  makeDiscreteParam("residual", values=c(1, 0)), makeDiscreteParam("warmup_lr", values=c(1,0)),
  makeDiscreteParam("use_subset", values = c(1)),
  makeDiscreteParam("reduce_lr", values=c("True", "False")))
