# Runs a model script as `Rscript SCRIPT` would, with its hyperparameters there and its value taken:
#
#     CANDLE_MODEL_SCRIPT=script.R Rscript [INTERPRETER ARGUMENTS] r_host.R [ARGUMENTS]
#
# This file runs in the user's R, version 3.5 or newer, and needs nothing but base R. The hyperparameters come, as an R
# expression, from the file next to the one that CANDLE_PARAMS_FILE names; the value goes to the one named by
# CANDLE_RESULT_FILE, as {"val_to_return": ...}. A value that is not a number goes there as a text that shows it.
# What the script reports on its way by candle_report is appended to the file named by CANDLE_REPORTS_FILE.

local({
  script <- Sys.getenv("CANDLE_MODEL_SCRIPT")
  Sys.unsetenv("CANDLE_MODEL_SCRIPT")

  # A list, but a name that is not there is an error: not NULL, nor the value of a longer name.
  hyperparameter <- function(x, name) {
    if (!(name %in% names(x))) {
      there <- if (length(x)) paste(names(x), collapse = ", ") else "none"
      stop("there is no hyperparameter \"", name, "\" (there are: ", there, "); add it to &default_model, ",
           "or to the sets of &param_space, in the input file", call. = FALSE)
    }
    .subset2(x, name)
  }
  methods <- list(
    `$` = hyperparameter,
    `[[` = function(x, i) if (is.character(i) && length(i) == 1L) hyperparameter(x, i) else .subset2(x, i),
    print = function(x, ...) invisible(print(unclass(x), ...))
  )
  for (generic in names(methods)) {
    registerS3method(generic, "candle_hyperparameters", methods[[generic]], envir = baseenv())
  }
  hyperparameters <- dget(sub("[.]json$", ".R", Sys.getenv("CANDLE_PARAMS_FILE")))
  class(hyperparameters) <- c("candle_hyperparameters", "list")

  # `if (sys.nframe() == 0) main()` asks whether a script is the main one. It is, although source() runs it.
  probe <- textConnection("base::sys.nframe()")
  frames_below <- source(probe, echo = FALSE)$value
  close(probe)

  quoted <- function(text) {
    text <- gsub("[[:cntrl:]]", " ", enc2utf8(text))
    paste0('"', gsub('(["\\\\])', "\\\\\\1", text), '"')
  }
  # The bits of an integer64 are those of another number, unless its package is there to convert it.
  is_number <- function(value) {
    is.numeric(value) && length(value) == 1L && !(inherits(value, "integer64") && !isNamespaceLoaded("bit64"))
  }
  number <- function(value) {
    value <- as.double(value)
    if (is.na(value)) "NaN"
    else if (is.infinite(value)) if (value > 0) "Infinity" else "-Infinity"
    else sprintf("%.17g", value)
  }
  shown <- function(value) paste0(substr(deparse(value, nlines = 1L)[1L], 1L, 80L), " (", class(value)[1L], ")")

  # Report what was measured by a step: candle_report(value, step = epoch), or each number by its name. Never fails: what
  # is not a number is left out, and that is said once.
  is_wrong <- FALSE
  report_numbers <- function(given) {
    names <- if (is.null(names(given))) character(length(given)) else names(given)
    bare <- which(names == "")
    names[bare] <- c("val_to_return", "step", rep("", length(given)))[seq_along(bare)]
    names[names == "value"] <- "val_to_return"
    are_numbers <- vapply(given, is_number, NA)
    wrong <- if (any(names == "")) "it takes a value and a step; the others need names"
    else if (!length(given)) "it was given nothing"
    else if (!all(are_numbers)) paste0(names[!are_numbers][1L], " is ", shown(given[!are_numbers][[1L]]), ", not a number")
    kept <- are_numbers & names != ""
    if (any(kept) && !any(names == "step" & !are_numbers)) {
      entries <- paste0(vapply(names[kept], quoted, ""), ": ", vapply(given[kept], number, ""))
      file <- file(Sys.getenv("CANDLE_REPORTS_FILE"), "ab")
      on.exit(close(file))
      writeLines(paste0("{", paste(entries, collapse = ", "), "}"), file, useBytes = TRUE)
    }
    wrong
  }
  report_on_the_way <- function(...) {
    given <- list(...) # here, for an error in an argument is the script's own
    wrong <- suppressWarnings(tryCatch(report_numbers(given), error = conditionMessage))
    if (!is.null(wrong) && !is_wrong) {
      is_wrong <<- TRUE
      try(cat("candle: candle_report: ", wrong, " (said once)\n", sep = "", file = stderr()), silent = TRUE)
    }
    invisible()
  }

  # Attached behind the workspace, where `rm(list = ls())` leaves them alone.
  attach(
    list(
      hyperparams = hyperparameters,
      candle_params = hyperparameters,
      candle_report = report_on_the_way,
      sys.nframe = function() max(0L, sys.parent() - frames_below)
    ),
    name = "candle", warn.conflicts = FALSE
  )

  # The command line is the script's own, for packages that read options and for scripts that look for themselves.
  command <- sub("^--file=.*r_host[.]R$", paste0("--file=", script), commandArgs())
  command_arguments <- function(trailingOnly = FALSE) {
    if (trailingOnly) command[-seq_len(match("--args", command, length(command)))] else command
  }
  unlockBinding("commandArgs", baseenv())
  assign("commandArgs", command_arguments, envir = baseenv())
  lockBinding("commandArgs", baseenv())

  as_json <- function(value) {
    if (is.character(value) && length(value) == 1L && !is.na(value)) quoted(value)
    else if (is_number(value)) number(value)
    else if (!length(value) && (is.null(value) || is.numeric(value))) "null"
    else quoted(shown(value))
  }
  report <- function() {
    there <- intersect(c("val_to_return", "candle_value_to_return"), ls(globalenv()))
    if (!length(there)) return()
    value <- get(there[1L], envir = globalenv())
    # A list without a val_to_return may have the value by its own name.
    is_named <- is.list(value) && !is.null(names(value)) && any(vapply(unclass(value), is_number, NA))
    if (!is_named && !(is.list(value) && "val_to_return" %in% names(value))) value <- list(val_to_return = value)
    entries <- paste0(vapply(names(value), quoted, ""), ": ", vapply(unclass(value), as_json, ""))
    file <- file(Sys.getenv("CANDLE_RESULT_FILE"), "wb")
    writeLines(paste0("{", paste(entries, collapse = ", "), "}"), file, useBytes = TRUE)
    close(file)
  }
  # However R ends, quit() included. After an error its exit status shows that the value does not count.
  reg.finalizer(environment(), function(ours) report(), onexit = TRUE)

  # R names the lines of a failed call only where it can; the calls that led to it have theirs.
  show_calls <- function(condition) {
    options(candle.failed = TRUE)
    calls <- sys.calls()[-seq_len(frames_below)]
    lines <- lapply(calls, function(call) {
      place <- attr(call, "srcref")
      if (is.null(place)) return(NULL)
      where <- paste0("  ", attr(place, "srcfile")$filename, ":", place[1L])
      if (identical(call[[1L]], quote(.handleSimpleError))) return(where) # R's own, in the place of the call that failed
      paste0(where, ": ", substr(deparse(call, nlines = 1L)[1L], 1L, 80L))
    })
    lines <- unlist(lines)
    if (length(lines)) writeLines(c("Calls (the last one failed):", lines), stderr())
  }
  options(show.error.locations = TRUE, showErrorCalls = FALSE)
  frames_below <- frames_below + 1L # withCallingHandlers
  withCallingHandlers(
    source(script, echo = FALSE, print.eval = TRUE, keep.source = TRUE, encoding = "UTF-8"),
    error = show_calls
  )
})

# Only a script that has ended well comes here, or one that failed and whose own `error` option lets R continue.
if (isTRUE(getOption("candle.failed"))) quit("no", status = 1L)
