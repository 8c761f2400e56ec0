"""Acceptance of the bundled evaluators.

They load as ordinary checkpoints and solve simple cases. FluidSynth is not needed.
"""

import json

import numpy as np
import pytest
import torch

import tonearm
from tests.measures.sounds import clicks, noise
from tonearm import assets
from tonearm.audio import Clip
from tonearm.evaluators.load import load_clap, load_tracker
from tonearm.generation.request import TakeRequest
from tonearm.measures import measure_tempo
from tonearm.measures.tempo_accuracy import is_right_tempo
from tonearm.measures.zero_shot import TEMPLATE

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def evaluator():
    return load_clap("bundled")


@pytest.fixture(scope="module")
def tracker():
    pytest.importorskip("beat_this.model.beat_tracker")
    return load_tracker("bundled")


@pytest.fixture(scope="module")
def bright_and_dark() -> tuple[list[Clip], list[Clip]]:
    """Four bright and four dark takes of pocket, five seconds each."""
    scenes = (
        "rock track with guitar",
        "jazz tune with piano",
        "folk song with flute",
        "electronic track with synth",
    )
    requests = [
        TakeRequest(f"a {word} {scene}", 900 + i, seconds=5.0)
        for word in ("bright", "dark")
        for i, scene in enumerate(scenes)
    ]
    clips = [take.clip for take in tonearm.load(device="cpu").generate_batch(requests)]
    return clips[:4], clips[4:]


def predict(evaluator, clips: list[Clip], labels: list[str]) -> list[str]:
    """Return the nearest label per clip."""
    texts = evaluator.embed_texts([TEMPLATE.format(label) for label in labels])
    return [labels[i] for i in (evaluator.embed(clips) @ texts.T).argmax(1)]


def test_the_bundled_files_are_small_and_include_the_model_card() -> None:
    files = [
        path
        for path in assets.EVALUATORS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sum(path.stat().st_size for path in files) < 16 * MEBIBYTE
    assert {"README.md", "card.json", "confusion.png", "beats.ckpt"} <= {
        path.name for path in files
    }


def test_the_model_card_agrees_with_its_measurements() -> None:
    numbers, card = (
        json.loads((assets.EVALUATORS / "card.json").read_text()),
        (assets.EVALUATORS / "README.md").read_text(),
    )
    genre = numbers["clap"]["rendered"]["genre"]
    assert (
        f"{genre['value']:.0%} [{100 * genre['low']:.0f}, {100 * genre['high']:.0f}], "
        f"n = {genre['n']}" in card
    )
    for name, recording in numbers["recordings"].items():
        assert name in card and f"{recording['bundled Beat This!']['bpm']:.1f}" in card


@pytest.mark.parametrize("bpm", [100, 120, 150])
def test_the_tempo_of_a_click_track_is_found(tracker, bpm: float) -> None:
    found = measure_tempo(clicks(bpm), tracker)
    assert is_right_tempo(found.bpm, bpm, any_octave=True), found.bpm
    assert found.beat_regularity is not None and found.beat_regularity > 0.9


def test_beats_do_not_depend_on_the_level(tracker) -> None:
    loud = clicks(100)
    quiet = Clip(0.1 * loud.samples, loud.sample_rate)
    assert measure_tempo(quiet, tracker).bpm == pytest.approx(
        measure_tempo(loud, tracker).bpm, rel=0.01
    )


def test_bright_and_dark_takes_are_distinguished(evaluator, bright_and_dark) -> None:
    bright, dark = bright_and_dark
    predicted = predict(evaluator, [*bright, *dark], ["bright", "dark"])
    right = [
        label == word for label, word in zip(predicted, 4 * ["bright"] + 4 * ["dark"], strict=True)
    ]
    assert sum(right) >= 7  # by chance in one case of 28


def test_embeddings_hardly_depend_on_the_level(evaluator, bright_and_dark) -> None:
    clips = [clip for group in bright_and_dark for clip in group]
    quieter = [Clip(0.3 * clip.samples, clip.sample_rate) for clip in clips]
    similarity = (evaluator.embed(clips) * evaluator.embed(quieter)).sum(1)
    across = evaluator.embed(bright_and_dark[0]) @ evaluator.embed(bright_and_dark[1]).T
    assert similarity.min() > 0.8 and similarity.min() > across.mean()


def test_unknown_words_are_ignored(evaluator) -> None:
    plain, strange = evaluator.embed_texts(["a jazz track", "zydeco a quixotic jazz track"])
    others = evaluator.embed_texts(["a rock track", "a latin track", "a classical track"])
    assert plain @ strange > (others @ strange).max()


def test_embeddings_are_unit_rows_of_moderate_width(evaluator) -> None:
    rows = evaluator.embed([noise(3.0), noise(12.0)])
    assert rows.shape == (2, 128)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-4)


def test_plain_transformers_loads_the_clap_model() -> None:
    from transformers import ClapModel, ClapProcessor

    model, processor = (
        ClapModel.from_pretrained(assets.EVALUATORS / "clap"),
        ClapProcessor.from_pretrained(assets.EVALUATORS / "clap"),
    )
    rate = processor.feature_extractor.sampling_rate
    inputs = processor(
        text=["bright", "dark"],
        audio=[noise(10.0).mono],
        sampling_rate=rate,
        padding=True,
        return_tensors="pt",
    )
    with torch.inference_mode():
        assert model.eval()(**inputs).logits_per_audio.shape == (1, 2)
