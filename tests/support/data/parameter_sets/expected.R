# Writes NAME.json beside each NAME.R of this folder: what R itself, with the package ParamHelpers, makes of it.
#
#   Rscript expected.R        (R 4.2.2 and ParamHelpers 1.14.1 wrote what is there)
#
# Of each parameter: its name, type, length, bounds or values. And a few points of the space: the coordinates
# (of a discrete parameter, the place of its value from 0), and the hyperparameters of those parameters whose
# `requires` is met. As in mlrMBO's designs, it is asked of the coordinates, before `trafo`.

suppressMessages(library(ParamHelpers))
set.seed(20)

json <- function(x, as_list = FALSE) {
  if (is.list(x) && !is.null(names(x))) {
    if (length(x) == 0) return("{}")
    pairs <- mapply(function(name, value) paste0(json(name), ": ", value), names(x), vapply(x, identity, ""))
    return(paste0("{", paste(pairs, collapse = ", "), "}"))
  }
  one <- function(v) {
    if (is.character(v)) return(paste0("\"", gsub("\t", "\\\\t", gsub("\"", "\\\\\"", v)), "\""))
    if (is.logical(v)) return(tolower(as.character(v)))
    format(v, digits = 17)
  }
  texts <- vapply(x, one, "", USE.NAMES = FALSE)
  if (length(x) == 1 && !as_list) texts else paste0("[", paste(texts, collapse = ", "), "]")
}
rows <- function(texts) paste0("[\n  ", paste(texts, collapse = ",\n  "), "\n ]")

parameters_of <- function(path) {
  text <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  wrapped <- grepl("makeParamSet", text)
  # What candle takes, and R does not: a comma behind the last parameter, and parameters without anything between them.
  text <- if (wrapped) sub(",\\s*\\)\\s*$", ")", text) else gsub("\\)[ ,;]*\\s*(make[A-Z])", ")\n\\1", text)
  values <- lapply(parse(text = text), eval, envir = new.env())
  if (wrapped) values[[length(values)]]$pars else values
}

is_vector <- function(p) grepl("vector", p$type)
is_discrete <- function(p) grepl("discrete|logical", p$type)
choices_of <- function(p) if (grepl("logical", p$type)) list(FALSE, TRUE) else unname(p$values)

described <- function(p) {
  fields <- list(name = json(p$id), type = json(p$type), length = json(p$len))
  if (is_discrete(p)) {
    fields$values <- paste0("[", paste(vapply(choices_of(p), json, ""), collapse = ", "), "]")
  } else {
    fields$lower <- json(p$lower, TRUE)
    fields$upper <- json(p$upper, TRUE)
  }
  json(fields)
}

point_of <- function(pars) {
  coordinates <- list()
  known <- list()
  delivered <- list()
  for (p in pars) {
    if (is_discrete(p)) {
      place <- sample(length(p$values), p$len, replace = TRUE)
      value <- choices_of(p)[place]
      drawn <- place - 1L
    } else if (grepl("integer", p$type)) {
      drawn <- mapply(function(low, high) sample(seq(low, high), 1), rep(p$lower, length.out = p$len), p$upper)
      if (p$lower[1] == p$upper[1]) drawn <- p$lower
    } else {
      drawn <- round(runif(p$len, p$lower, p$upper), 4)
      drawn <- pmin(pmax(drawn, p$lower), p$upper)
    }
    coordinates[[p$id]] <- json(drawn, is_vector(p))
    met <- TRUE
    if (!is.null(p$requires)) met <- isTRUE(eval(p$requires, envir = known))
    if (!met) {
      known[[p$id]] <- NA
      next
    }
    known[[p$id]] <- if (is_discrete(p)) value[[1]] else drawn
    if (is_discrete(p)) {
      texts <- vapply(value, json, "")
      delivered[[p$id]] <- if (is_vector(p)) paste0("[", paste(texts, collapse = ", "), "]") else texts
    } else {
      delivered[[p$id]] <- json(if (is.null(p$trafo)) drawn else p$trafo(drawn), is_vector(p))
    }
  }
  json(list(coordinates = json(coordinates), hyperparameters = json(delivered)))
}

for (path in setdiff(list.files(pattern = "[.]R$"), "expected.R")) {
  pars <- parameters_of(path)
  text <- paste0(
    "{\"parameters\": ", rows(vapply(pars, described, "")), ",\n \"points\": ",
    rows(vapply(1:6, function(i) point_of(pars), "")), "}\n"
  )
  writeLines(enc2utf8(text), sub("[.]R$", ".json", path), useBytes = TRUE, sep = "")
}
