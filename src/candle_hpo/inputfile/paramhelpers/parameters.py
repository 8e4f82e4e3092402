"""Parameters in the form of R's package ParamHelpers: `makeNumericParam("dropout", lower = 0, upper = 0.9)`.

What the functions and their arguments mean is in the package's manual (versions up to 1.14). What the model gets is
what mlrMBO hands to it: the value after `trafo`, the value (not the name) of a choice. Conditions (`requires`) ask for
coordinates, before `trafo`, as in mlrMBO's designs.
"""

from __future__ import annotations

from collections.abc import Sequence

from candle_hpo.core.axes import Axis, categorical, find_coordinate, is_delivered_whole, problem_of
from candle_hpo.core.errors import nearest
from candle_hpo.core.expressions import Expression
from candle_hpo.core.parameters import Parameter
from candle_hpo.inputfile.parameter_drafts import LONGEST_VECTOR, Draft, ParameterError, text_of
from candle_hpo.inputfile.paramhelpers.calls import read_calls
from candle_hpo.inputfile.paramhelpers.functions import condition, transform
from candle_hpo.inputfile.paramhelpers.syntax import Node
from candle_hpo.inputfile.paramhelpers.values import Vector, constant, number, numbers
from candle_hpo.inputfile.sections import Findings, Line

# The arguments of each function: first those that may come without a name, in R's order, then the others.
_ENDS = ("lower", "upper")
_MORE = ("default", "requires", "tunable", "special.vals")
_ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "makeNumericParam": (("id", *_ENDS), ("allow.inf", "trafo", *_MORE)),
    "makeNumericVectorParam": (("id", "len", *_ENDS), ("cnames", "allow.inf", "trafo", *_MORE)),
    "makeIntegerParam": (("id", *_ENDS), ("trafo", *_MORE)),
    "makeIntegerVectorParam": (("id", "len", *_ENDS), ("cnames", "trafo", *_MORE)),
    "makeDiscreteParam": (("id", "values"), ("trafo", *_MORE)),
    "makeDiscreteVectorParam": (("id", "len", "values"), ("trafo", *_MORE)),
    "makeLogicalParam": (("id",), _MORE),
    "makeLogicalVectorParam": (("id", "len"), ("cnames", *_MORE)),
}
_WITHOUT_RANGE = ("makeUntypedParam", "makeFunctionParam", "makeCharacterParam", "makeCharacterVectorParam")

# Arguments whose usual value changes nothing; with another one they ask for what there is not.
_USUAL: dict[str, tuple[object, str]] = {
    "tunable": (True, "put the value into &default_model, and omit the parameter"),
    "allow.inf": (False, "the search needs finite values"),
    "special.vals": ([], "the search knows one range; make it a makeDiscreteParam"),
    "cnames": (None, "the elements of a vector have no names here"),
}


def read_param_helpers(lines: Sequence[Line], findings: Findings) -> list[Draft]:
    """Read all parameters of a text, adding everything that is wrong to `findings`."""
    drafts: list[Draft] = []
    for call in read_calls(lines, findings):
        try:
            drafts.append(_Maker(call).draft())
            if any(argument.name == "default" for argument in call.arguments):
                what = f"default has no effect on the search; while {drafts[-1].name} is inactive"
                findings.note(call.line, f"{what}, the model gets the value of &default_model")
        except ParameterError as error:
            findings.wrong(error.line, str(error))
    return drafts


class _Maker:
    """One call of a make…Param function, its arguments by their names."""

    def __init__(self, call: Node) -> None:
        self._line = call.line
        self._function = str(call.value)
        if self._function in _WITHOUT_RANGE:
            what = f"{self._function} has no range to search; put the value into &default_model"
            raise ParameterError(self._line, what)
        if self._function not in _ARGUMENTS:
            what = f'"{self._function}" describes no parameter; {nearest(self._function, _ARGUMENTS)}'
            raise ParameterError(self._line, what)
        self._id = ""
        self._given = self._matched(call)
        self._id = self._read_id()
        self._is_vector = "Vector" in self._function

    def draft(self) -> Draft:
        """Return the parameter; raise `ParameterError` with the first thing that is wrong with it."""
        for name, (usual, instead) in _USUAL.items():
            if name in self._given and constant(self._given[name]).plain() != usual:
                raise self._error(f"{name} = … is not understood; {instead}")
        choice_names: tuple[str, ...] = ()
        trafo: Expression | None = None
        if "Numeric" in self._function or "Integer" in self._function:
            axes = self._ranges()
            trafo = self._trafo(axes)
        else:
            choices, choice_names = self._choices()
            axes = tuple(categorical(name, choices) for name in self._axis_names())
            if "trafo" in self._given and constant(self._given["trafo"]).plain() is not None:
                raise self._error("trafo is for numbers; write the values as the model gets them")
        parameter = Parameter(
            name=self._id,
            axes=axes,
            is_vector=self._is_vector,
            transform=trafo,
            whole=trafo is not None and all(is_delivered_whole(axis, trafo) for axis in axes),
        )
        self._check_default(parameter)
        requires = condition(self._given["requires"]) if "requires" in self._given else None
        return Draft(self._line, parameter, choice_names, requires)

    def _matched(self, call: Node) -> dict[str, Node]:
        """Return the arguments by name, as R matches them: those with a name first, the others in order."""
        places, others = _ARGUMENTS[self._function]
        given: dict[str, Node] = {}
        for argument in call.arguments:
            if argument.name is None:
                continue
            if argument.name not in (*places, *others):
                valid = nearest(argument.name, (*places, *others))
                raise argument.node.error(f'{self._function} has no argument "{argument.name}"; {valid}')
            if argument.name in given:
                raise argument.node.error(f'"{argument.name}" appears twice; keep one')
            given[argument.name] = argument.node
        free = [name for name in places if name not in given]
        unnamed = [argument.node for argument in call.arguments if argument.name is None]
        if len(unnamed) > len(free):
            what = f"{self._function} takes {', '.join(places)} without names; write the name of what else there is"
            raise ParameterError(unnamed[len(free)].line, what)
        return given | dict(zip(free, unnamed, strict=False))

    def _read_id(self) -> str:
        if "id" not in self._given:
            raise self._error(f'the name is missing; write for instance {self._function}("dropout", …)')
        found = constant(self._given["id"]).plain()
        if not isinstance(found, str):
            raise self._error(f"the name {text_of(found)} is not text; put it in quotes")
        return found

    def _axis_names(self) -> list[str]:
        if not self._is_vector:
            return [self._id]
        if "len" not in self._given:
            raise self._error("len is missing, the number of elements; write for instance len = 3")
        length = number(self._given["len"], "len")
        if not length.is_integer() or not 1 <= length <= LONGEST_VECTOR:
            raise self._error(f"len is a whole number from 1 to {LONGEST_VECTOR}, not {length:g}")
        return [f"{self._id}[{place}]" for place in range(int(length))]

    def _ranges(self) -> tuple[Axis, ...]:
        names = self._axis_names()
        lower, upper = (self._ends(name, len(names)) for name in _ENDS)
        axes: list[Axis] = []
        for name, low, high in zip(names, lower, upper, strict=True):
            if low > high:
                raise self._error(f"lower, {low:g}, is above upper, {high:g}; swap them")
            if "Numeric" in self._function:
                axes.append(Axis(name, "float", low, high))
            elif low.is_integer() and high.is_integer():
                axes.append(Axis(name, "integer", int(low), int(high)))
            else:
                raise self._error(f"the bounds of an integer are whole numbers, not {low:g} and {high:g}")
        return tuple(axes)

    def _ends(self, name: str, length: int) -> list[float]:
        if name not in self._given:
            raise self._error(f"{name} is missing; the search needs both lower and upper")
        found = numbers(self._given[name], name)
        if len(found) not in (1, length):
            raise self._error(f"{name} has {len(found)} numbers; one is for all, else there are {length}")
        return found * length if len(found) == 1 else found

    def _trafo(self, axes: tuple[Axis, ...]) -> Expression | None:
        if "trafo" not in self._given:
            return None
        trafo = transform(self._given["trafo"], self._is_vector)
        for axis in axes:
            problem = problem_of(axis, trafo) if trafo is not None else None
            if problem is not None:
                line = self._given["trafo"].line
                raise ParameterError(line, f"trafo of {axis.name}: {problem}; change it or the bounds")
        return trafo

    def _choices(self) -> tuple[tuple[object, ...], tuple[str, ...]]:
        """Return the choices, and their names as conditions may use them."""
        if "Logical" in self._function:
            return (False, True), ()
        if "values" not in self._given:
            raise self._error('values is missing; write for instance values = c("sgd", "adam")')
        vector: Vector = constant(self._given["values"])
        choices = vector.choices()
        return tuple(choices), tuple(
            name or text_of(choice) for name, choice in zip(vector.names, choices, strict=True)
        )

    def _check_default(self, parameter: Parameter) -> None:
        """Raise where the default is outside of the range, as ParamHelpers does; it is one before `trafo`."""
        if "default" not in self._given:
            return
        vector = constant(self._given["default"])
        elements = vector.choices() if self._is_vector else [vector.plain()]
        fits = len(elements) in (1, len(parameter.axes)) and all(
            find_coordinate(axis, None, element) is not None
            for axis, element in zip(parameter.axes, elements * len(parameter.axes), strict=False)
        )
        if not fits:
            raise self._error("default is outside of the range of the parameter")

    def _error(self, text: str) -> ParameterError:
        return ParameterError(self._line, f"{self._id or self._function}: {text}")
