"""Short forms of a steering specification: `tempo=1.25`, dictionaries, lists."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tonearm.errors import TonearmError
from tonearm.schema import reason_of, validated
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.vector import SteeringVector

SHORT = re.compile(
    r"^\s*(?P<vector>[^=]+?)\s*=\s*(?P<strength>[^@\s]+)\s*(?:@\s*(?P<start>[\d.]+)\s*-\s*(?P<end>[\d.]+)\s*)?$"
)

SteeringLike = (
    Steering | Steer | str | Mapping[str | SteeringVector, float] | Sequence[Steer | str] | None
)


def parse_short(text: str) -> Steer:
    """Parse `tempo=1.25`, `path/to/file.safetensors=-1`, or `tempo=1.25@2-6` (seconds 2 to 6).

    Raises:
        TonearmError: the text has another form, or the strength is not a number.
    """
    found = SHORT.match(text)
    if not found:
        raise TonearmError(
            f"steer {text!r} is not understood; write NAME=STRENGTH, such as tempo=1.25, "
            "or tempo=1.25@2-6 for seconds 2 to 6"
        )
    try:
        strength = float(found["strength"])
    except ValueError:
        raise TonearmError(
            f"steer {text!r}: strength {found['strength']!r} is not a number; "
            f"write for example {found['vector']}=1.25"
        ) from None
    fields: dict[str, Any] = {"vector": found["vector"], "strength": strength}
    if found["start"] is not None:
        try:
            fields["schedule"] = Schedule.window(float(found["start"]), float(found["end"]))
        except ValueError as error:
            raise TonearmError(f"steer {text!r}: {reason_of(error)}") from None
    return validated(Steer, fields, where=f"steer {text!r}")


def as_steering(steer: SteeringLike) -> tuple[Steering, dict[str, SteeringVector]]:
    """Convert any accepted form to a Steering.

    Args:
        steer: None, `"tempo=1.25"`, `{"tempo": 1.25}`, `{vector: 1.25}`, a Steer, a list of Steers
            or strings, or a Steering.

    Returns:
        The Steering, and the vectors that were given as objects, by the names that it uses for
        them.

    Raises:
        TonearmError: another type, an invalid steer, or two vectors of one name.
    """
    given: dict[str, SteeringVector] = {}
    if steer is None:
        return Steering(), given
    if isinstance(steer, Steering):
        return steer, given
    if isinstance(steer, Steer):
        return Steering(steers=(steer,)), given
    if isinstance(steer, str):
        return Steering(steers=tuple(parse_short(part) for part in steer.split(","))), given
    steers: list[Steer] = []
    if isinstance(steer, Mapping):
        for key, strength in steer.items():
            if isinstance(key, SteeringVector):
                if key.name in given or key.name in steer:
                    raise TonearmError(_clash(key.name))
                given[key.name] = key
                key = key.name
            fields = {"vector": key, "strength": strength}
            steers.append(validated(Steer, fields, where=f"steer {key!r}"))
        return Steering(steers=tuple(steers)), given
    if isinstance(steer, Sequence):
        for item in steer:
            inner, more = as_steering(item)
            if clash := sorted(given.keys() & more.keys()):
                raise TonearmError(_clash(clash[0]))
            steers += inner.steers
            given |= more
        return Steering(steers=tuple(steers)), given
    raise TonearmError(
        f"steer is a {type(steer).__name__}; give a dict such as {{'tempo': 1.25}}, a list of Steer, "
        "or a Steering"
    )


def _clash(name: str) -> str:
    return f"two vectors are named {name!r}; rename one of them with renamed()"
