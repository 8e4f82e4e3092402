rate <- hyperparams$learning_rate
val_to_return <- (log10(rate) + 2)^2 + 0.25
