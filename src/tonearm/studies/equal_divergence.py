"""Strengths at which variants disturb the model's predictions equally.

Variants are compared at the strength at which the mean divergence of their predictions from the plain
ones has a given value, interpolated between the strengths of a curve (logarithms of both).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.errors import TonearmError
from tonearm.steering.spec import MAX_STRENGTH
from tonearm.studies.records import Record, select

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Curve:
    """Mean divergence of a variant and sign at rising strengths; see `equal_strength`."""

    strengths: tuple[float, ...]
    divergences: tuple[float, ...]


def curves(records: Sequence[Record]) -> dict[tuple[str, str], Curve]:
    """Divergence curves by variant and sign, of the records of the experiment "divergence"."""
    sums: dict[tuple[str, str], dict[float, list[float]]] = {}
    for record in select(records, experiment="divergence"):
        by_strength = sums.setdefault((record["variant"], record["sign"]), {})
        by_strength.setdefault(record["strength"], []).append(record["divergence"]["value"])
    return {
        key: Curve(tuple(sorted(found)), tuple(float(np.mean(found[one])) for one in sorted(found)))
        for key, found in sums.items()
    }


def equal_strength(
    curve: Curve, divergence: float, *, least: float = 0.0, most: float = MAX_STRENGTH
) -> float:
    """Find the strength of a divergence.

    Beyond the ends of the curve its first or last two points are continued, to `least` and `most`,
    with a warning: predictions of a checkpoint without training hardly move.

    Args:
        curve: of two strengths or more, with divergences above 0.
        divergence: nats per frame.
        least: smallest strength. Where the curve starts there and above the divergence, it is the
            result: setting a projection disturbs predictions at any level.
        most: largest strength.

    Raises:
        TonearmError: the divergence does not rise with the strength.
    """
    if curve.strengths[0] <= least and curve.divergences[0] >= divergence:
        return least
    x, y = np.log(curve.strengths), np.log(np.maximum(curve.divergences, 1e-9))
    target = np.log(divergence)
    y = np.maximum.accumulate(y)
    at = int(np.clip(np.searchsorted(y, target), 1, len(y) - 1))
    slope = (y[at] - y[at - 1]) / (x[at] - x[at - 1])
    if not slope > 0:
        raise TonearmError(
            f"the divergence does not rise from strength {curve.strengths[at - 1]:g} to "
            f"{curve.strengths[at]:g}, so that no strength has {divergence:g} nats per frame"
        )
    found = x[at - 1] + (target - y[at - 1]) / slope
    if found > np.log(most):
        log.warning(
            "no strength up to %g has %g nats per frame; %g is used, with less",
            most,
            divergence,
            most,
        )
        return most
    return max(least, float(f"{np.exp(found):.4g}"))
