# Predicts ozone in New York's air from temperature and wind: a local regression (loess), judged by ten-fold
# cross-validation. The data set, airquality, comes with R; nothing but base R is needed.
#
# The list hyperparams is there when candle runs the script; what val_to_return holds in the end, the error of
# prediction in parts per billion, is what candle minimizes.

data <- na.omit(airquality[c("Ozone", "Temp", "Wind")])
set.seed(1) # the same folds for every set of hyperparameters
folds <- sample(rep(1:10, length.out = nrow(data)))

squared_errors <- unlist(lapply(1:10, function(fold) {
  model <- loess(
    Ozone ~ Temp + Wind,
    data = data[folds != fold, ],
    span = hyperparams$span,
    degree = hyperparams$degree,
    family = hyperparams$family,
    control = loess.control(surface = "direct") # so that it predicts beyond what it has seen, too
  )
  (predict(model, data[folds == fold, ]) - data$Ozone[folds == fold])^2
}))

cat(sprintf("cross-validated error: %.3f ppb\n", sqrt(mean(squared_errors))))
val_to_return <- sqrt(mean(squared_errors))
