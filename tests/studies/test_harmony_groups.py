"""Groups of chroma and notes: values of planted melodies as strict JSON, which comparisons read."""

import importlib.util
import json

import numpy as np
import pytest

from tests.measures.melodies import MELODY, STRING, rendered, transposed
from tests.measures.sounds import silence
from tonearm.errors import TonearmError
from tonearm.evaluators import basic_pitch
from tonearm.measures import (
    ClipAnalysis,
    chroma_similarity,
    mean_chroma_similarity,
    measure_notes,
    note_agreement,
    pitch_class_overlap,
)
from tonearm.studies.measure_groups import (
    ALL_GROUPS,
    LOADERS,
    MeasureRequest,
    group,
    reason_unavailable,
)


@pytest.fixture
def with_basic_pitch():
    pytest.importorskip("onnxruntime", reason="the extra notes is not installed")
    if importlib.util.find_spec("basic_pitch") is None:
        pytest.skip("basic-pitch is not installed")


def measured(name, *clips):
    """Values of each clip, as a store reads them."""
    found = group(name).measure([MeasureRequest(clip, "", "") for clip in clips])
    return [json.loads(json.dumps(values, allow_nan=False)) for values in found]


def test_chroma_has_steps_of_unit_length_that_compare():
    own, other, raised = measured(
        "chroma",
        rendered((*MELODY, None)),
        rendered(MELODY, STRING),
        rendered(transposed(MELODY, 6)),
    )
    steps = np.array(own["chroma"])
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), [1] * len(MELODY) + [0], atol=2e-4)
    np.testing.assert_array_equal(steps, steps.round(4))
    mean = ClipAnalysis(rendered((*MELODY, None))).chroma
    np.testing.assert_allclose(own["mean_chroma"], mean / np.linalg.norm(mean), atol=5.1e-5)
    assert chroma_similarity(own["chroma"], own["chroma"]) == pytest.approx(1)
    assert chroma_similarity(own["chroma"], other["chroma"]) > 0.95
    assert chroma_similarity(own["chroma"], raised["chroma"]) < 0.5
    assert mean_chroma_similarity(own["mean_chroma"], other["mean_chroma"]) > 0.95


def test_silence_has_no_chroma():
    assert measured("chroma", silence(3.0)) == [{"chroma": None, "mean_chroma": None}]


def test_notes_are_those_of_basic_pitch_and_compare(with_basic_pitch):
    clip = rendered(MELODY, STRING)
    own, raised = measured("notes", clip, rendered(transposed(MELODY, 6), STRING))
    expected = measure_notes(clip)
    assert own["notes"] == [
        [round(note.start, 2), round(note.end, 2), note.pitch] for note in expected.notes
    ]
    assert {one.name: one.to_dict() for one in expected.measurements} == {
        name: value for name, value in own.items() if name != "notes"
    }
    planted = [[0.5 * i, 0.5 * (i + 1), pitch] for i, pitch in enumerate(MELODY)]
    assert note_agreement(planted, own["notes"]).recall > 0.9
    assert note_agreement(planted, raised["notes"]).f1 < 0.2
    assert pitch_class_overlap(planted, own["notes"]) > 0.8
    assert pitch_class_overlap(planted, raised["notes"]) < 0.5


def test_silence_has_no_notes(with_basic_pitch):
    (found,) = measured("notes", silence(3.0))
    assert found.pop("notes") is None
    assert {one["value"] for one in found.values()} == {None}
    assert found.keys() == {"note_rate", "polyphony", "note_pitch", "note_share"}


def test_fingerprints_differ_and_other_studies_measure_the_groups_that_they_did(with_basic_pitch):
    assert ALL_GROUPS == ("signal", "beats", "clap", "tags")
    names = [name for name in LOADERS if reason_unavailable(name) is None]
    assert {"chroma", "notes"} <= set(names)
    assert len({group(name).fingerprint for name in names}) == len(names)
    assert not group("chroma").uses_texts and not group("notes").uses_texts


def test_a_group_without_its_package_has_the_reason(monkeypatch):
    assert reason_unavailable("chroma") is None
    group.cache_clear()
    monkeypatch.setattr(basic_pitch, "PACKAGE", "no_such_package")
    reason = reason_unavailable("notes")
    assert "pip install --no-deps basic-pitch" in reason
    with pytest.raises(TonearmError) as error:
        group("notes")
    assert str(error.value) == reason
    with pytest.raises(TonearmError, match="no group of measures 'pitch'; there are signal"):
        reason_unavailable("pitch")
