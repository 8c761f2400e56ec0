"""Steering vectors that a command is given: files, bundles, members of a bundle, bundled names."""

from pathlib import Path
from typing import TYPE_CHECKING

from tonearm.errors import TonearmError
from tonearm.text import check_path

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector


def named_vectors(given: str) -> dict[str, "SteeringVector"]:
    """Vectors by name: one, or all of a bundle.

    Args:
        given: a vector file, a bundle, `pack.safetensors#tempo`, or the name of a bundled vector.
    """
    from tonearm.steering.bundle_file import load_member, load_vectors
    from tonearm.steering.library import bundled_vectors
    from tonearm.steering.references import split_reference

    check_path(given, "vector")
    if reference := split_reference(given):
        return {reference[1]: load_member(*reference)}
    return load_vectors(bundled_vectors().get(given, Path(given)))


def read_vector(given: str) -> "SteeringVector":
    """The one vector that is given; a bundle of several is refused."""
    found = named_vectors(given)
    if len(found) > 1:
        raise TonearmError(
            f"{given} is a bundle of {len(found)} vectors; name one, such as {given}#{next(iter(found))}"
        )
    return next(iter(found.values()))
