"""Settings as pydantic models that are as strict, and as brief when refused, as those of the evaluators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from evaluators.fields import FieldError, from_values
from search_spaces.extension import nearest


class Config(BaseModel):
    """Settings that are checked strictly, the same from Python and from YAML, and never change.

    Raises:
        FieldError: naming the field that is wrong, in one line.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )

    # pydantic's mypy plugin knows the fields only where there is no __init__
    if not TYPE_CHECKING:

        def __init__(self, **values: object) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise first_problem(error, type(self)) from error


@dataclass(frozen=True)
class Made:
    """Marks a field whose value ``make`` builds from what was given; that decides what is right.

    Without ``make`` the field's own dataclass is built by ``from_values``. ``plain`` is the inverse.
    """

    make: Callable[[Any], object] | None = None
    plain: Callable[[Any], object] = asdict

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        plain = core_schema.plain_serializer_function_ser_schema(self.plain)
        make = self.make or partial(from_values, source)
        return core_schema.no_info_plain_validator_function(make, serialization=plain)


def named(value: object) -> Any:
    """``resnest`` for short is ``{name: resnest}``."""
    return {"name": value} if isinstance(value, str) else value


def first_problem(error: ValidationError, kind: type[BaseModel]) -> FieldError:
    """The first of pydantic's complaints about a ``kind``, as one line that names the field."""
    problem = error.errors()[0]
    path = tuple(str(part) for part in problem["loc"])
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, FieldError):  # of settings inside these
        return FieldError(kind.__name__, (*path, *cause.path), cause.problem)
    return FieldError(kind.__name__, path, _words(problem, kind))


WANTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "a text",
    "tuple_type": "a list",
}
"""What is wanted, by pydantic's kind of problem, in the words of a file of settings."""


def _words(problem: ErrorDetails, kind: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"unknown key{nearest(str(problem['loc'][-1]), kind.model_fields)}"
    if problem["type"] == "missing":
        return "must be given"
    if problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    if problem["type"] in WANTED:
        return f"must be {WANTED[problem['type']]}, got {problem['input']!r:.80}"
    wanted = (
        problem["msg"]
        .removeprefix("Input should be ")
        .replace("greater than or equal to", "at least")
    )
    wanted = wanted.replace("less than or equal to", "at most")
    must = "must be " if problem["msg"].startswith("Input should be ") else ""
    return f"{must}{wanted[0].lower()}{wanted[1:]}, got {problem['input']!r:.80}"
