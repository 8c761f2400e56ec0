import json
import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE, clicks, noise, silence
from tonearm.audio import Clip
from tonearm.measures import Measurement, describe

BROKEN = np.full(SAMPLE_RATE, np.nan)
OPPOSED = np.stack([noise(1).samples[0], -noise(1).samples[0]])


def test_a_description_holds_what_was_planted() -> None:
    written = describe(clicks(120)).to_dict()
    assert written["seconds"] == 10
    assert written["tempo"]["value"] == pytest.approx(120, rel=0.01)
    assert written["tempo"]["unit"] == "BPM"
    assert written["onset_rate"]["value"] == pytest.approx(2, abs=0.11)
    assert written["brightness"]["value"] == pytest.approx(SAMPLE_RATE / 4, rel=0.1)
    assert -9 < written["peak"]["value"] < -6
    assert set(written) == {
        *(
            "seconds",
            "tempo",
            "brightness",
            "rolloff",
            "high_energy",
            "loudness",
            "loudness_range",
            "peak",
            "true_peak",
        ),
        *("crest", "onset_rate", "silence", "clipped", "dc_offset", "key", "majorness", "faults"),
    }


def test_every_number_has_a_unit_and_a_protocol_and_a_name_of_its_own() -> None:
    measurements = describe(clicks(120)).measurements
    assert len({measured.name for measured in measurements}) == len(measurements) == 17
    assert all(measured.unit and measured.protocol and measured.value is not None for measured in measurements)


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
    ids=["silence", "nothing", "short silence", "short", "nan", "opposed channels", "six channels", "stereo", "8 kHz"],
)
def test_any_clip_can_be_described_in_strict_json(clip: Clip) -> None:
    written = json.dumps(describe(clip).to_dict(), allow_nan=False)
    assert json.loads(written) == describe(clip).to_dict()


@pytest.mark.parametrize("clip", [silence(), Clip(BROKEN, SAMPLE_RATE)], ids=["silence", "nan"])
def test_what_cannot_be_told_is_none_and_the_fault_says_why(clip: Clip) -> None:
    description = describe(clip)
    assert description.tempo.bpm is None
    assert description.brightness.value is None
    assert description.loudness.value is None
    assert description.onset_rate.value is None
    assert len(description.faults) == 1


def test_stereo_is_described_as_its_mono_mix_is() -> None:
    mono = clicks(120)
    stereo = describe(Clip(mono.samples.repeat(2, 0), SAMPLE_RATE))
    assert stereo.tempo == describe(mono).tempo
    assert stereo.brightness == describe(mono).brightness


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.inf, np.float32("nan")])
def test_a_measurement_turns_what_is_not_finite_into_none(value: float) -> None:
    assert Measurement("peak", value, "dBFS", "by hand").value is None


def test_a_measurement_is_frozen_and_writes_plain_numbers() -> None:
    measured = Measurement("peak", np.float32(-0.5), "dBFS", "by hand")
    assert json.dumps(measured.to_dict()) == ('{"name": "peak", "value": -0.5, "unit": "dBFS", "protocol": "by hand"}')
    with pytest.raises(FrozenInstanceError):
        measured.value = 0.0  # type: ignore[misc]


def test_importing_measures_loads_neither_musicgen_nor_heavy_libraries() -> None:
    code = (
        "import sys, tonearm.measures\n"
        "print([name for name in ('tonearm.musicgen', 'librosa', 'torch', 'transformers') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
