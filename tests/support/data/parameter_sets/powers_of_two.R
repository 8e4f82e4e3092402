param.set <- makeParamSet(

  makeIntegerParam("latent_dim", lower=2, upper=7, trafo = function(x) 2L^x),

  # the batch too
  makeIntegerParam("batch_size", lower=4, upper=9, trafo = function(x) 2L^x),

  makeNumericParam("learning_rate", lower=0.0002, upper=0.2)
)
