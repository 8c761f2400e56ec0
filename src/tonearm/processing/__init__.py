"""Signal processing of clips: trims of takes, and baselines of studies."""

from tonearm.processing.shelf import CORNER, high_shelf
from tonearm.processing.time_stretch import time_stretch
from tonearm.processing.trims import Trims

__all__ = ["CORNER", "Trims", "high_shelf", "time_stretch"]
