param.set <- makeParamSet(
  makeIntegerParam('word_length', lower = 10, upper = 250),
  makeDiscreteParam('note', values = c('a "quoted" word', "it's", 'a # is no comment', "tab\there", "\u00e9t\u{e9}", "\x65nd")),
  makeIntegerParam('attention' , lower= 16, upper= 512 )
)
