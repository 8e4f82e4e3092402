# Usage: Rscript own_options.R [--rate=0.05] [--trees=20]
given <- commandArgs(trailingOnly = TRUE)
if ("--help" %in% given) {
  cat("Usage: own_options.R [options]\n\n\nOptions:\n")
  cat("\t-r RATE, --rate=RATE\n\t\tshrinkage of each tree [default 0.05]\n\n")
  cat("\t-t TREES, --trees=TREES\n\t\tnumber of trees [default 20]\n\n")
  quit()
}
value <- function(name, default) {
  found <- grep(paste0("^--", name, "="), given, value = TRUE)
  if (length(found)) as.numeric(sub(".*=", "", found[1])) else default
}
rate <- value("rate", 0.05)
goal <- (log10(rate) + 2)^2 + 0.25
print(data.frame(fold = 1:3, train_error = goal / 2, cv_error = goal + c(0.2, 0.1, 0)))
