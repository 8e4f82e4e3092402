"""Parameter spaces for tests of searches."""

from __future__ import annotations

from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.inputfile.parameter_space import read_parameter_space
from candle_hpo.inputfile.sections import Findings, text_lines
from candle_hpo.inputfile.value_notes import ValueNotes


def space_of(text: str, **default_model: object) -> ParametricSpace:
    findings = Findings("space.R")
    space = read_parameter_space(text_lines(text), default_model, findings, ValueNotes())
    assert findings.problems == []
    return space


MIXED = """
makeNumericParam("rate", lower = -5, upper = -1, trafo = function(x) 10^x)
makeNumericParam("units", lower = log2(16), upper = log2(256), trafo = function(x) round(2^x))
makeIntegerParam("epochs", lower = 2, upper = 10)
makeDiscreteParam("batch", values = c(16, 32, 64))
makeDiscreteParam("optimizer", values = c("sgd", "adam"))
makeNumericParam("momentum", lower = 0, upper = 0.99, requires = quote(optimizer == "sgd"))
makeNumericVectorParam("dropout", len = 2, lower = 0, upper = 0.9, trafo = function(x) round(x, 1))
makeLogicalParam("shuffle")
"""
