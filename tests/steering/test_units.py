import math

import pytest

from tonearm import TonearmError
from tonearm.steering.units import parse_quantity, unit_named, unit_of

MEASURES = [
    "spectral_centroid",
    "loudness",
    "onset_rate",
    "tempo",
    "bundled_tempo",
    "high_onset_level",
    "pulse_clarity",
    "tag:flute",
    "clap:jazz",
]


@pytest.mark.parametrize("measure", MEASURES)
def test_applying_a_change_is_the_inverse_of_measuring_it(measure):
    unit = unit_of(measure)
    assert unit_named(unit.name) is unit
    for plain, value in ((100.0, 140.0), (140.0, 100.0), (3.0, 3.0)):
        change = unit.change(plain, value)
        assert unit.applied(plain, change) == pytest.approx(value)
        assert math.copysign(1, change) == (1 if value >= plain else -1)


def test_an_octave_is_12_semitones_and_a_tenth_is_10_points():
    assert unit_of("spectral_centroid").change(1000, 2000) == pytest.approx(12)
    assert unit_of("tag:flute").change(0.1, 0.2) == pytest.approx(10)
    assert unit_of("tempo").change(100, 110) == pytest.approx(10)
    assert unit_of("loudness").change(-20, -16) == pytest.approx(4)


def test_a_measure_without_a_unit_is_refused_with_those_that_have_one():
    with pytest.raises(TonearmError, match=r"'key' has no unit; use one of spectral_centroid"):
        unit_of("key")


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("128bpm", (128, "bpm")),
        ("+3 st", (3, "st")),
        ("-4LU", (-4, "lu")),
        ("-18 lufs", (-18, "lufs")),
        ("+1.5/s", (1.5, "onsets")),
        ("+10%", (10, "%")),
        ("2500 Hz", (2500, "hz")),
        ("-10dB", (-10, "db")),
        ("+5pt", (5, "points")),
        ("0.5", None),
        ("raw:1", None),
    ],
)
def test_quantities_are_read_with_their_unit(text, quantity):
    assert parse_quantity(text) == quantity


@pytest.mark.parametrize("text", ["bpm", "fast bpm", "nanst", "infhz", "--3st"])
def test_a_unit_without_a_finite_number_is_no_quantity(text):
    with pytest.raises(ValueError):
        parse_quantity(text)
