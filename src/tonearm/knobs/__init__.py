"""Knobs: targets in physical units, aimed at and measured take by take."""

from tonearm.knobs.outcome import Outcome
from tonearm.knobs.reaching import Reached, reach

__all__ = ["Outcome", "Reached", "reach"]
