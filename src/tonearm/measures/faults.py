"""Technical faults of a clip: clipping, silence, DC offset, samples that are not finite.

Aim: to detect a broken take before its other measures are interpreted.

Conventions: a clip has a fault where any sample is not finite, over 0.1 % of the samples are
clipped, over half of the duration is silent, or the DC offset exceeds 0.01 of full scale.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure
from tonearm.measures.clipping import CLIPPING
from tonearm.measures.dc_offset import DC_OFFSET
from tonearm.measures.silence import SILENCE

MAX_CLIPPED_SHARE = 0.001
MAX_SILENT_SHARE = 0.5
MAX_DC_OFFSET = 0.01


def faults(clip: Clip) -> list[str]:
    """List the technical faults of a clip, each in a few words."""
    return find_faults(ClipAnalysis(clip))


def find_faults(analysis: ClipAnalysis) -> list[str]:
    """List the technical faults of an analysed clip."""
    samples = analysis.clip.samples
    if not samples.size:
        return ["no samples"]
    broken = int((~np.isfinite(samples)).sum())
    if broken:
        return [f"{broken} samples are NaN or infinite"]
    if not analysis.is_sounding:
        return ["silent"]
    clipped, silent, offset = (_number(analysis, one) for one in (CLIPPING, SILENCE, DC_OFFSET))
    found = []
    if clipped > MAX_CLIPPED_SHARE:
        found.append(f"{100 * clipped:.2g} % of samples clipped")
    if silent > MAX_SILENT_SHARE:
        found.append(f"silent {100 * silent:.0f} % of the time")
    if offset > MAX_DC_OFFSET:
        found.append(f"DC offset {offset:.2g} of full scale")
    return found


def _number(analysis: ClipAnalysis, measure: Measure) -> float:
    (measurement,) = measure.measurements(analysis)
    return measurement.number or 0.0
