"""Description of a clip: values, protocols, strict JSON, and shared intermediate results."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import librosa
import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE, clicks, noise, silence
from tonearm import frame_levels
from tonearm.audio import Clip
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.measures import Measurement, base, describe, measure_tempo

BROKEN = np.full(SAMPLE_RATE, np.nan)
OPPOSED = np.stack([noise(1).samples[0], -noise(1).samples[0]])
NAMES = (
    *("tempo", "tempo_unconfirmed", "tempo_median", "beat_regularity", "tempo_confidence"),
    "pulse_support",
    "pulse_clarity",
    *("spectral_centroid", "spectral_rolloff", "high_frequency_ratio"),
    *("loudness", "loudness_range", "peak", "true_peak", "crest_factor", "onset_rate"),
    *("onset_rate_superflux", "held_tone", "held_share", "static", "comb_buzz"),
    *("silence", "clipped", "dc_offset", "key", "key_confidence", "majorness"),
)


def test_a_description_has_the_planted_values() -> None:
    written: dict[str, Any] = describe(clicks(120)).to_dict()
    assert written["seconds"] == 10
    assert written["tempo"]["value"] == pytest.approx(120, rel=0.01)
    assert written["tempo"]["unit"] == "BPM"
    assert written["onset_rate"]["value"] == pytest.approx(2, abs=0.11)
    assert written["spectral_centroid"]["value"] == pytest.approx(SAMPLE_RATE / 4, rel=0.1)
    assert -9 < written["peak"]["value"] < -6
    assert len(written["beats"]) == 19  # none in the first 136 ms
    assert tuple(written) == ("seconds", *NAMES, "beats", "faulty", "faults")


def test_every_measurement_has_a_name_of_its_own_and_a_protocol() -> None:
    measurements = describe(clicks(120)).measurements
    assert tuple(measurement.name for measurement in measurements) == NAMES
    assert all(one.protocol for one in measurements)
    assert [one.name for one in measurements if one.value is None] == ["tempo_unconfirmed"]
    assert [one.name for one in measurements if not one.unit] == ["tempo_unconfirmed", "key"]


def test_a_measurement_is_looked_up_by_its_name() -> None:
    description = describe(clicks(120))
    assert description["tempo"].value == description.tempo.bpm
    assert description["key"].value == description.key.key
    with pytest.raises(KeyError, match="no measurement brightness"):
        description["brightness"]
    with pytest.raises(TypeError, match="not a number"):
        _ = description["key"].number


@pytest.mark.parametrize(
    "clip",
    [
        silence(),
        silence(0),
        silence(0.1),
        noise(0.1),
        Clip(BROKEN, SAMPLE_RATE),
        Clip(OPPOSED, SAMPLE_RATE),
        Clip(noise(7).samples.repeat(6, 0), SAMPLE_RATE),
        Clip(clicks(120).samples.repeat(2, 0), SAMPLE_RATE),
        clicks(120, sample_rate=8000),
    ],
    ids=[
        *("silence", "no samples", "short silence", "short", "nan"),
        *("opposed channels", "six channels", "stereo", "8 kHz"),
    ],
)
def test_any_clip_has_a_description_in_strict_json(clip: Clip) -> None:
    written = json.dumps(describe(clip).to_dict(), allow_nan=False)
    assert json.loads(written) == describe(clip).to_dict()


@pytest.mark.parametrize("clip", [silence(), Clip(BROKEN, SAMPLE_RATE)], ids=["silence", "nan"])
def test_undefined_values_are_none_and_a_fault_gives_the_reason(clip: Clip) -> None:
    description = describe(clip)
    for name in ("tempo", "spectral_centroid", "loudness", "onset_rate"):
        assert description[name].value is None
    assert len(description.faults) == 1


def test_stereo_has_the_description_of_its_mono_mix() -> None:
    mono = clicks(120)
    stereo = describe(Clip(mono.samples.repeat(2, 0), SAMPLE_RATE))
    assert stereo.tempo == describe(mono).tempo
    assert stereo["spectral_centroid"] == describe(mono)["spectral_centroid"]


def test_each_spectrum_envelope_and_resampling_is_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: Counter[str] = Counter()

    def count(owner: object, name: str) -> None:
        original: Callable[..., object] = getattr(owner, name)

        def counted(*args: object, **kwargs: object) -> object:
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    clip = clicks(120, sample_rate=32_000)
    expected = describe(clip)
    for owner, name in (
        (librosa, "stft"),
        (librosa.onset, "onset_strength"),
        (librosa.feature, "chroma_cqt"),
        (Clip, "resampled"),
        (base, "frame_levels"),
        (frame_levels, "frame_levels"),
        (LibrosaTracker, "track_envelope"),
    ):
        count(owner, name)
    assert describe(clip) == expected
    once = dict.fromkeys(("chroma_cqt", "resampled", "frame_levels", "track_envelope"), 1)
    # four frame lengths: spectrum, two of held tones, comb buzz; two onset detectors
    assert calls == {**once, "stft": 4, "onset_strength": 2}


def test_a_clip_below_8_khz_is_resampled_once_for_each_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[int] = []
    original = Clip.resampled

    def recorded(clip: Clip, sample_rate: int) -> Clip:
        if sample_rate != clip.sample_rate:
            rates.append(sample_rate)
        return original(clip, sample_rate)

    monkeypatch.setattr(Clip, "resampled", recorded)
    assert describe(clicks(120, sample_rate=4_000))["loudness_range"].value is not None
    assert sorted(rates) == [8_000, 16_000]


def test_a_tracker_of_the_envelope_finds_the_same_beats_in_the_clip() -> None:
    clip = clicks(97)
    np.testing.assert_array_equal(LibrosaTracker().track(clip), measure_tempo(clip).beats)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.inf, np.float32("nan")])
def test_a_value_that_is_not_finite_becomes_none(value: float) -> None:
    assert Measurement("peak", value, "dBFS", "by hand").value is None


def test_a_measurement_is_frozen_and_writes_plain_numbers() -> None:
    peak = Measurement("peak", np.float32(-0.5), "dBFS", "by hand")
    assert json.dumps(peak.to_dict()) == (
        '{"name": "peak", "value": -0.5, "unit": "dBFS", "protocol": "by hand"}'
    )
    with pytest.raises(FrozenInstanceError):
        peak.value = 0.0  # type: ignore[misc]


def test_importing_measures_loads_neither_musicgen_nor_heavy_libraries() -> None:
    heavy = ("tonearm.musicgen", "librosa", "torch", "transformers")
    code = f"import sys, tonearm.measures; print([n for n in {heavy} if n in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


def test_evaluators_do_not_import_measures() -> None:
    code = (
        "import sys, tonearm.evaluators.load, tonearm.evaluators.cache\n"
        "print([name for name in sys.modules if name.startswith('tonearm.measures')])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
