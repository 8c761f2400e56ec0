"""Processing by name: excerpts."""

import numpy as np
import pytest

from tests.measures.sounds import noise
from tonearm.errors import TonearmError
from tonearm.studies.plan import Processing
from tonearm.studies.processing import process


def test_an_excerpt_is_the_part_from_its_start_on_and_a_copy():
    clip = noise(1.0).with_channels(2)
    found = process(clip, Processing("excerpt", {"start": 0.25}))
    np.testing.assert_array_equal(found.samples, clip.samples[:, 4_000:])
    assert found.sample_rate == clip.sample_rate
    assert not np.shares_memory(found.samples, clip.samples)
    whole = process(clip, Processing("excerpt", {"start": 0}))
    np.testing.assert_array_equal(whole.samples, clip.samples)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (1.0, r"a clip of 1\.00 s has no excerpt from 1 s on; give an earlier start"),
        (30.0, "no excerpt from 30 s on"),
        (-0.5, r"an excerpt cannot start at -0\.5 s; give 0 or more"),
        (float("nan"), "cannot start at nan s"),
    ],
)
def test_an_excerpt_without_samples_is_refused(start, message):
    with pytest.raises(TonearmError, match=message):
        process(noise(1.0), Processing("excerpt", {"start": start}))


def test_an_unknown_processing_is_refused():
    with pytest.raises(TonearmError, match="no processing 'echo'; there are excerpt"):
        process(noise(0.1), Processing("echo", {}))
