param.set <- makeParamSet(
  makeDiscreteParam("dense", values = c("600 80", "900 300 80",
  					"900 900 300 80",
              "1200 900 300 80")),
  makeDiscreteParam("conv",
             values=c(      "40 10 1",
                            "40 40 1 10 1")),
  makeDiscreteParam("drop_rates", values = c("0.1, 0.2", "0.1, 0.2,0.3"))
)
