"""Validation of declarative input with errors of one line."""

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.text import quoted

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Metaclass
else:
    _Metaclass = type(BaseModel)


def validated(schema: type[BaseModel], content: Any, where: str) -> Any:
    """Validate `content` against a pydantic schema.

    Args:
        schema: the pydantic class.
        content: plain data, as from JSON.
        where: source of the data, for the message.

    Raises:
        TonearmError: the first fault, with its place, the value and the allowed keys or values.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise _one_line(error, schema, where) from None


def first_fault(error: ValidationError, skip: int = 0) -> tuple[str, str]:
    """Place and reason of the first fault of an input, each shortened.

    Args:
        error: of pydantic.
        skip: parts at the begin of the place that are left out.
    """
    first = error.errors()[0]
    place = ".".join(shortened(str(part)) for part in first["loc"][skip:])
    return place, shortened(first["msg"].removeprefix("Value error, "))


def _one_line(error: ValidationError, schema: type[BaseModel], where: str) -> TonearmError:
    first = error.errors()[0]
    place = ".".join(shortened(str(part)) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    compound = isinstance(first.get("input"), dict | list | BaseModel)
    given = "" if compound else f" (given: {quoted(first.get('input'))})"
    if first["type"] == "extra_forbidden":
        reason = f"unknown key; known are {', '.join(_keys(schema, first['loc']))}"
        given = ""
    return TonearmError(f"{where}: {place + ': ' if place else ''}{reason}{given}")


class FrozenModel(BaseModel):
    """Immutable data for clients, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _OneLineErrors(_Metaclass):
    def __call__(cls, *args: Any, **fields: Any) -> Any:
        """Construct from Python. Validation of nested data does not come through here."""
        try:
            return super().__call__(*args, **fields)
        except ValidationError as error:
            raise _one_line(error, cls, cls.__name__) from None  # type: ignore[arg-type]


class Declared(BaseModel, metaclass=_OneLineErrors):
    """A schema that users construct; its constructor raises TonearmError instead of pydantic's
    error.
    """


def _keys(schema: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    owner = schema
    for part in place[:-1]:
        if part in owner.model_fields:
            owner = _model_within(owner.model_fields[str(part)].annotation) or owner
    return list(owner.model_fields)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The schema inside `Schema | None`, `tuple[Schema, ...]` or `dict[str, Schema]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_within(inner))), None)
