span <- as.numeric(Sys.getenv("SPAN", "0.05"))
rounds <- as.integer(Sys.getenv("ROUNDS", "3"))
print(c(rmse = (log10(span) + 2)^2 + 0.25, mae = span))
