"""Short forms of a steering specification: `tempo=+1`, `tempo=raw:1.25`, `jazz=0.4@blend`,
`tempo=2@set`, dictionaries, lists.

A number is an amount, calibrated per vector and sign; `raw:` marks a strength. With an operator, a
strategy or a gate the number is a strength, with or without the mark: an amount has the injection
of its calibration. With operator set it is a level, in each layer along its own direction where no
strategy is given.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.schema import validated
from tonearm.steering.calibration import Strategy
from tonearm.steering.operators import Operator
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Combine, Steer, Steering
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import SUFFIX
from tonearm.text import quoted

MAX_CHARACTERS = 5000  # of one steer; the longest paths have 4095 bytes
TIME_CHARACTERS = frozenset("0123456789.")
RAW = "raw:"
GATE = "gate:"
SET: Operator = "set"
# marks of one kind -> field of a steer
NAMED = dict.fromkeys(get_args(Operator), "operator") | dict.fromkeys(
    get_args(Strategy), "strategy"
)

SteeringLike = (
    Steering
    | Steer
    | str
    | Mapping[str | SteeringVector, float | str]
    | Sequence[Steer | str]
    | None
)


def parse_short(text: str) -> Steer:
    """Parse `tempo=+1` (an amount), `tempo=raw:1.25` (a strength), `jazz=0.4@blend` (a strength and
    an operator), `jazz=0.4@blend@all-to-all` (and a strategy), `tempo=2@set` (a level),
    `tempo=0.4@gate:0.3` (a strength that acts with probability 0.3),
    `path/to/file.safetensors=-1`, or `tempo=1@2-6` (seconds 2 to 6).

    The last equals sign separates the name from the number; a path may contain others.
    The time is linear in the length of the text.

    Raises:
        TonearmError: the text has another form or is too long, or the number is none.
    """
    _check_length(boundary.instance(text, "steer", str, "a text such as tempo=+1"))
    name, equals, setting = text.rpartition("=")
    return _steer(name.strip(), setting, f"steer {quoted(text)}", bool(equals))


def _steer(name: str, setting: str, where: str, is_separated: bool = True) -> Steer:
    """Parse what follows the name: `+1` or `raw:1.25`, with marks such as `@2-6` and `@blend`."""
    number, *marks = (part.strip() for part in setting.split("@"))
    is_named = bool(is_separated and name) and (name.endswith(SUFFIX) or "=" not in name)
    found = _marked(marks)
    is_raw, digits = number.startswith(RAW), number.removeprefix(RAW).strip()
    is_level = found is not None and found.get("operator") == SET
    if not (is_named and number) or found is None or (is_level and is_raw):
        raise TonearmError(
            f"{where} is not understood; write NAME=AMOUNT, such as tempo=+1, "
            "NAME=raw:STRENGTH, such as tempo=raw:1.25, NAME=STRENGTH@OPERATOR, such as "
            "jazz=0.4@blend, NAME=LEVEL@set, such as tempo=2@set, or tempo=1@2-6 for seconds 2 to 6"
        )
    kind = "strength" if is_raw or found.keys() - {"schedule"} else "amount"
    if is_level:
        kind, found = "level", {"strategy": "all-to-all", **found}
    try:
        value = float(digits)
    except ValueError:
        raise TonearmError(
            f"{where}: {kind} {quoted(digits)} is not a number; "
            f"write for example {shortened(name)}=+1, or {shortened(name)}=raw:1.25"
        ) from None
    fields: dict[str, Any] = {"vector": name, kind: value, **found}
    if "schedule" in fields:
        start, _, end = fields["schedule"].partition("-")
        try:
            fields["schedule"] = Schedule.window(float(start), float(end))
        except (ValueError, TonearmError) as error:
            raise TonearmError(f"{where}: {error}") from None
    return validated(Steer, fields, where=where)  # type: ignore[no-any-return]


def _marked(marks: Sequence[str]) -> dict[str, str] | None:
    """Fields that are marked, by name; None for a mark that is unknown, or two of one kind."""
    fields: dict[str, str] = {}
    for mark in marks:
        field = NAMED.get(mark)
        if mark.startswith(GATE):
            field, mark = "gate", mark.removeprefix(GATE)
        elif _is_window(mark):
            field = "schedule"
        if field is None or field in fields:
            return None
        fields[field] = mark
    return fields


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise TonearmError(
            f"steer {quoted(text)} has {len(text)} characters; write at most {MAX_CHARACTERS}"
        )


def _is_window(mark: str) -> bool:
    """Whether a mark is two times, such as `2-6`."""
    start, dash, end = mark.partition("-")
    return bool(dash) and all(_is_time(time.strip()) for time in (start, end))


def _is_time(text: str) -> bool:
    return bool(text) and set(text) <= TIME_CHARACTERS


def split_short(text: str) -> list[str]:
    """Split short forms at commas, except at those inside the path of a .safetensors file.

    Raises:
        TonearmError: the text is too long.
    """
    _check_length(text)
    parts: list[str] = []
    pending: list[str] = []
    for part in text.split(","):
        pending.append(part)
        name, equals, _ = part.rpartition("=")
        if not equals:
            continue
        parts += [",".join(pending)] if name.rstrip().endswith(SUFFIX) else pending
        pending = []
    return parts + pending


def as_steering(
    steer: SteeringLike, combine: Combine | None = None
) -> tuple[Steering, dict[str, SteeringVector]]:
    """Convert any accepted form to a Steering.

    Args:
        steer: None, `"tempo=+1"`, `{"tempo": 1}`, `{vector: "raw:1.25"}`, a Steer, a list of Steers
            or strings, or a Steering. A number is an amount.
        combine: rule of combination; default: that of a Steering, none for other forms.

    Returns:
        The Steering, and the vectors that were given as objects, by the names that it uses for
        them.

    Raises:
        TonearmError: another type, an invalid steer or rule, or two vectors of one name.
    """
    steering, given = _converted(steer)
    if combine is not None:
        steering = Steering(steers=steering.steers, combine=combine)
    return steering, given


def _converted(steer: SteeringLike) -> tuple[Steering, dict[str, SteeringVector]]:
    given: dict[str, SteeringVector] = {}
    if steer is None:
        return Steering(), given
    if isinstance(steer, Steering):
        return steer, given
    if isinstance(steer, Steer):
        return Steering(steers=(steer,)), given
    if isinstance(steer, str):
        return Steering(steers=tuple(parse_short(part) for part in split_short(steer))), given
    steers: list[Steer] = []
    if isinstance(steer, Mapping):
        for key, value in steer.items():
            if isinstance(key, SteeringVector):
                if key.name in given or key.name in steer:
                    raise TonearmError(_clash(key.name))
                given[key.name] = key
                key = key.name
            where = f"steer {quoted(key)}"
            if isinstance(value, str):
                _check_length(value)
                steers.append(_steer(key, value, where, isinstance(key, str)))
            else:
                fields = {"vector": key, "amount": value}
                steers.append(validated(Steer, fields, where=where))
        return Steering(steers=tuple(steers)), given
    if isinstance(steer, Sequence):
        try:
            parts = [_converted(item) for item in steer]
        except RecursionError:
            raise TonearmError(
                "steer is a list that contains itself; give a list of Steers"
            ) from None
        steers = [one for inner, _ in parts for one in inner.steers]
        rules = dict.fromkeys(inner.combine for inner, _ in parts if inner.combine != "none")
        if len(rules) > 1:
            raise TonearmError(
                f"steer has two rules of combination, {' and '.join(rules)}; give one of them"
            )
        combine = next(iter(rules), "none")
        return Steering(steers=tuple(steers), combine=combine), vectors_of(parts)
    raise TonearmError(
        f"steer is a {type(steer).__name__}; give a dict such as {{'tempo': 1}}, a list of Steer, "
        "or a Steering"
    )


def vectors_of(
    steerings: Sequence[tuple[Steering, Mapping[str, SteeringVector]]],
) -> dict[str, SteeringVector]:
    """The vectors given with several steerings, as `as_steering` returns them, in one dictionary.

    Raises:
        TonearmError: one name means two vectors: two objects that differ, or an object and an entry
            of the library.
    """
    objects: dict[str, SteeringVector] = {}
    for _, given in steerings:
        for name, vector in given.items():
            known = objects.setdefault(name, vector)
            if known is not vector and not known.steers_like(vector):
                raise TonearmError(_clash(name))
    for steering, given in steerings:
        for steer in steering.steers:
            if steer.vector in objects and steer.vector not in given:
                raise TonearmError(_clash(steer.vector))
    return objects


def _clash(name: str) -> str:
    return f"two vectors are named {quoted(name)}; rename one of them with renamed()"
