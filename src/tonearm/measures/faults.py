"""Faults: clipping, silence, DC offset, samples that are not finite.

Aim: to notice a take that is technically broken before anyone reads meaning into its other measures.

Conventions: a sample is clipped at |x| >= 1 - 2^-15, the largest 16-bit sample; this sees clipping at full scale only,
not in a clip that was turned down afterwards. Silence is frames of 50 ms (mono mix) below -60 dBFS RMS. DC offset is
the mean of the samples in the channel where it is largest, full scale = 1. Shares are of all samples or of the time, 0
.. 1.

`faults` says in words what passes these limits: any sample not finite; over 0.1 % of samples clipped; over half of the
time silent; an offset over 0.01.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.frame_levels import frame_levels, is_sounding
from tonearm.measures.measurement import Measurement

CLIPPED_AT = 1 - 2**-15
MAX_CLIPPED_SHARE = 0.001
MAX_SILENT_SHARE = 0.5
MAX_DC_OFFSET = 0.01


def measure_clipped(clip: Clip) -> Measurement:
    """The share of samples at or beyond full scale; None for a clip without samples."""
    share = (np.abs(clip.samples) >= CLIPPED_AT).mean() if clip.samples.size else None
    return Measurement("clipped", share, "share", "samples with |x| >= 1 - 2^-15")


def measure_silence(clip: Clip) -> Measurement:
    """The share of the time that is silent."""
    return Measurement("silence", frame_levels(clip).silent_share, "share", "50-ms frames below -60 dBFS RMS, mono mix")


def measure_dc_offset(clip: Clip) -> Measurement:
    """The largest |mean| of a channel; None for a clip without samples, or with some that are not finite."""
    offset = np.abs(clip.samples.mean(1, dtype=np.float64)).max() if clip.samples.size else None
    return Measurement("dc_offset", offset, "full scale", "largest |mean| of a channel")


def faults(clip: Clip) -> list[str]:
    """What is technically wrong with a clip, each in a few words; [] where nothing is."""
    if not clip.samples.size:
        return ["no samples"]
    broken = int((~np.isfinite(clip.samples)).sum())
    if broken:
        return [f"{broken} samples are NaN or infinite"]
    if not is_sounding(clip):
        return ["silent"]
    clipped = measure_clipped(clip).value or 0.0
    silent = measure_silence(clip).value or 0.0
    offset = measure_dc_offset(clip).value or 0.0
    found = []
    if clipped > MAX_CLIPPED_SHARE:
        found.append(f"{100 * clipped:.2g} % of samples clipped")
    if silent > MAX_SILENT_SHARE:
        found.append(f"silent {100 * silent:.0f} % of the time")
    if offset > MAX_DC_OFFSET:
        found.append(f"DC offset {offset:.2g} of full scale")
    return found
