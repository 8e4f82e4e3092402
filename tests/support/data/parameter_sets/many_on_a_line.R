makeNumericParam("a",0,1) makeNumericParam("b",lower=0,upper=1);makeLogicalParam("c")
  makeIntegerParam("d",lower=1,upper=2), makeIntegerParam("e",
lower=1,upper=3)
