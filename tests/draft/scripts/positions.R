arguments <- commandArgs(trailingOnly = TRUE)
learning_rate <- as.numeric(arguments[1])
cat("Residual deviance:", (log10(learning_rate) + 2)^2 + 0.25, "on 12 degrees of freedom\n")
