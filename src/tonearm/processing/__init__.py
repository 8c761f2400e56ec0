"""Signal processing of clips: what trims a take, and what studies compare steering with."""

from tonearm.processing.shelf import CORNER, high_shelf
from tonearm.processing.time_stretch import time_stretch
from tonearm.processing.trims import Trims

__all__ = ["CORNER", "Trims", "high_shelf", "time_stretch"]
