"""Parts that the pages share: template files, colours, numbers as text."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from tonearm.report.spectrogram import COLOURS

if TYPE_CHECKING:
    from jinja2 import Environment

ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """A number as text, with its difference from that of the plain take, or ""."""

    value: str
    difference: str


def number_cell(
    value: float | None,
    reference: float | None,
    decimals: int,
    *,
    is_reference: bool = False,
    difference_unit: str | None = None,
) -> Cell:
    """Format a number and its difference from a reference.

    Args:
        value: of the take; None becomes ABSENT.
        reference: value of the take that it is compared with.
        decimals: of the value.
        is_reference: whether the take is the reference, which has no difference.
        difference_unit: unit of a difference; None for a difference in per cent.

    Returns:
        The cell; its difference is ABSENT where it is not defined.
    """
    if value is None:
        return Cell(ABSENT, "")
    text = typeset(f"{value:.{decimals}f}")
    if is_reference:
        return Cell(text, "")
    if reference is None or (reference == 0 and difference_unit is None):
        return Cell(text, ABSENT)
    if difference_unit is not None:
        return Cell(text, f"{signed(value - reference, decimals)} {difference_unit}".rstrip())
    return Cell(text, f"{signed(100 * (value / reference - 1))} %")


def content_hash(script: str) -> str:
    """Hash of a script for a Content-Security-Policy, which allows no other script."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def data_uri(media_type: str, content: bytes) -> str:
    """Embed a file in a page."""
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def template(name: str) -> str:
    """Read a file of the templates folder."""
    return (resources.files("tonearm.report") / "templates" / name).read_text(encoding="utf-8")


def colour_stops() -> str:
    """Colours of the spectrograms, from the darkest, as stops of a CSS gradient."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return ", ".join(to_hex(colour) for colour in colormaps[COLOURS](np.linspace(0, 1, 9)))


def typeset(number: str) -> str:
    """With a true minus sign."""
    return number.replace("-", "−")


def signed(value: float, decimals: int = 1) -> str:
    """Format with a sign; "±0.0" where the value rounds to zero."""
    text = f"{value:+.{decimals}f}"
    return f"±{text[1:]}" if float(text) == 0 else typeset(text)


def environment() -> "Environment":
    """Make the environment of the templates, which escapes every text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("tonearm.report"), autoescape=True, undefined=StrictUndefined
    )
    made.filters["per_cent"] = "{:.3%}".format
    return made
