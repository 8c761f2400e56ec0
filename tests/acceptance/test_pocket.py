"""Acceptance of the bundled checkpoint.

It loads as any MusicGen-Melody, and prompts, vectors and inputs take effect.
"""

import numpy as np
import pytest
import torch
import transformers

import tonearm
from tonearm import assets
from tonearm.datasets import prompts
from tonearm.datasets.rendering.compose import BEAT_LENGTHS, nearest_beat_frames
from tonearm.evaluators.load import load_tracker
from tonearm.generation.request import TakeRequest
from tonearm.measures import (
    is_right_tempo,
    measure_onset_rate,
    measure_spectral_centroid,
    measure_tempo,
)
from tonearm.measures.key import mean_chroma
from tonearm.model import Model
from tonearm.steering import Steer, Steering
from tonearm.steering.library import bundled_vectors

SCENES = (
    "a rock track with piano",
    "a jazz tune with organ",
    "an electronic piece with synth",
    "a latin song with guitar",
)


@pytest.fixture(scope="module")
def pocket() -> Model:
    return tonearm.load(device="cpu")


def test_the_weights_fit_into_the_wheel():
    size = sum(file.stat().st_size for file in assets.POCKET.rglob("*") if file.is_file())
    assert size < 40e6
    assert all(file.stat().st_size < 36e6 for file in assets.POCKET.rglob("*.safetensors"))


def test_the_files_contain_no_build_paths():
    for file in assets.POCKET.glob("*.json"):
        assert '_path": "/' not in file.read_text(encoding="utf-8")


def test_plain_transformers_loads_and_generates():
    model = transformers.MusicgenMelodyForConditionalGeneration.from_pretrained(assets.POCKET)
    tokenizer = transformers.AutoTokenizer.from_pretrained(assets.POCKET)
    tokens = tokenizer(
        ["a fast folk tune with flute", "a slow dark jazz piece"],
        padding="max_length",
        return_tensors="pt",
    )
    audio = model.float().generate(**tokens, max_new_tokens=55)
    assert audio.shape == (2, 1, 50 * 640)  # 56 positions less a delay of 5 and BOS
    assert audio.abs().max() > 0.005


def test_every_attribute_has_a_bundled_vector_of_this_checkpoint(pocket):
    assert set(bundled_vectors()) == {*prompts.PAIRS, "drums"}
    for name, pair in prompts.PAIRS.items():
        info = pocket.vectors[name].info
        assert (info.name, info.checkpoint, info.fingerprint) == (
            name,
            "pocket",
            pocket.checkpoint.shape.fingerprint,
        )
        assert (info.positive_label, info.negative_label) == tuple(pair)
        assert info.positive_count == info.negative_count == 100
        assert info.best_layer in range(pocket.checkpoint.shape.layer_count)
        assert info.method == "diffmean" and info.pooling == "eos" and info.scores["separation"]


def test_the_bundled_brightness_vector_is_reproduced_by_learning(pocket):
    pair = prompts.load_pair("brightness")
    shipped = pocket.vectors["brightness"]
    again = tonearm.learn(tonearm.load(device="cpu"), pair.positive, pair.negative, "brightness")
    for layer in shipped.layers:
        assert torch.allclose(again[layer], shipped[layer], atol=1e-3)


def test_steering_brightness_moves_the_centroid_both_ways(pocket):
    def centroid(strength: float) -> float:
        steering = (
            Steering(steers=(Steer(vector="brightness", strength=strength),))
            if strength
            else Steering()
        )
        requests = [
            TakeRequest(scene, 100 + i, steering, seconds=4) for i, scene in enumerate(SCENES)
        ]
        values = [
            measure_spectral_centroid(take.clip).value for take in pocket.generate_batch(requests)
        ]
        return float(np.mean([value for value in values if value is not None]))

    dark, plain, bright = centroid(-0.3), centroid(0), centroid(0.3)
    assert dark < 0.7 * plain
    assert bright > 1.15 * plain


def test_steering_tempo_moves_the_onset_rate_both_ways(pocket):
    def onsets(strength: float) -> float:
        steering = Steering(steers=(Steer(vector="tempo", strength=strength),))
        requests = [
            TakeRequest(scene, 100 + i, steering, seconds=5) for i, scene in enumerate(4 * SCENES)
        ]
        return float(
            np.mean(
                [measure_onset_rate(take.clip).value for take in pocket.generate_batch(requests)]
            )
        )

    assert onsets(0.1) > 1.5 * onsets(-0.1)


def test_a_take_is_reproduced_bit_for_bit(pocket, tmp_path):
    take = pocket.generate(
        "a folk tune with flute",
        steer={"tempo": "raw:1.25", "brightness": "raw:-1"},
        seconds=2,
        seed=7,
    )
    again = tonearm.replay(take.save(tmp_path / "flute.wav"), model=pocket)
    assert again.identical and not again.differences
    assert (again.take.clip.samples == tonearm.Clip.read(tmp_path / "flute.wav").samples).all()


def test_the_decoder_generates_the_codes_of_the_reference_engine(pocket):
    """Ten seconds with the bundled weights.

    Any deviation in the last bit would separate the two within a few seconds.
    """
    ours = pocket.generate("a folk tune with flute", seconds=10, seed=0)
    theirs = pocket.with_engine("reference").generate("a folk tune with flute", seconds=10, seed=0)
    assert (ours.codes == theirs.codes).all()


def test_words_change_the_spectral_centroid(pocket):
    bright, dark = (
        pocket.generate(f"a {word} rock track with piano", seconds=4, seed=1)
        for word in ("bright", "dark")
    )
    assert (measure_spectral_centroid(bright.clip).value or 0) > 1.3 * (
        measure_spectral_centroid(dark.clip).value or 0
    )


def test_fast_prompts_are_faster_than_slow_ones(pocket):
    def beats(word: str) -> float:
        requests = [
            TakeRequest(scene.replace(" ", f" {word} ", 1), 200 + i, seconds=8)
            for i, scene in enumerate(2 * SCENES)
        ]
        tracker = load_tracker("bundled")
        read = [measure_tempo(take.clip, tracker).bpm for take in pocket.generate_batch(requests)]
        return float(np.mean([bpm for bpm in read if bpm is not None]))

    assert beats("fast") > 1.3 * beats("slow")


def test_takes_have_the_tempo_in_their_prompt(pocket):
    """Chance is one in seven; half and double tempo count as wrong."""
    prompted = [(scene, bpm) for scene in SCENES for bpm in (75, 100, 125)]
    requests = [
        TakeRequest(f"{scene} at {bpm} bpm", 300 + i, seconds=10)
        for i, (scene, bpm) in enumerate(prompted)
    ]
    read = [measure_tempo(take.clip) for take in pocket.generate_batch(requests)]
    right = [is_right_tempo(found.bpm, bpm) for found, (_, bpm) in zip(read, prompted, strict=True)]
    assert sum(right) >= 6
    assert np.median([found.beat_regularity or 0 for found in read]) > 0.8


def test_an_audio_prompt_is_continued_in_its_tempo(pocket):
    """The prompt is five seconds of a take, and the text contains no tempo.

    Half and double tempo count as wrong.
    """
    prompted = [(scene, bpm) for scene in 2 * SCENES for bpm in (75, 94, 125)]
    first = pocket.generate_batch(
        [
            TakeRequest(f"{scene} at {bpm} bpm", 300 + i, seconds=5)
            for i, (scene, bpm) in enumerate(prompted)
        ]
    )
    requests = [
        TakeRequest(scene, 400 + i, seconds=5, continue_from=take.clip)
        for i, ((scene, _), take) in enumerate(zip(prompted, first, strict=True))
    ]
    rest = [
        tonearm.Clip(take.clip.samples[:, -5 * 16_000 :], 16_000)
        for take in pocket.generate_batch(requests)
    ]
    tracker = load_tracker("bundled")
    read = [measure_tempo(clip, tracker).bpm for clip in rest]
    assert (
        sum(is_right_tempo(found, bpm) for found, (_, bpm) in zip(read, prompted, strict=True))
        >= 18
    )


@torch.inference_mode()
def test_numbers_of_different_tempos_have_distinct_text_states(pocket):
    """The EOS state is nearest to that of its own tempo's numbers in another sentence."""
    numbers = range(60, 181)
    tempo = np.array([nearest_beat_frames(number) for number in numbers])

    def states(sentence: str) -> np.ndarray:
        texts = [sentence.format(number) for number in numbers]
        tokens = pocket.checkpoint.tokenizer(texts, padding="max_length", return_tensors="pt")
        eos = (
            pocket.checkpoint.model.text_encoder(**tokens).last_hidden_state[:, -1].float().numpy()
        )
        return eos - eos.mean(0)

    first, second = states("a rock song with guitar, {} bpm"), states("a jazz track at {} bpm")
    centres = np.stack([first[tempo == beat].mean(0) for beat in BEAT_LENGTHS])
    nearest = np.linalg.norm(second[:, None] - centres, axis=-1).argmin(1)
    assert np.mean(np.array(BEAT_LENGTHS)[nearest] == tempo) > 0.99


def test_a_melody_shapes_the_chroma_of_takes(pocket):
    """Each of two melodies without a common note is nearer to the takes that have it."""
    seconds = np.arange(16_000) / 16_000
    melodies = {
        name: tonearm.Clip(
            np.concatenate(
                [np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * seconds) for key in 2 * keys]
            ),
            16_000,
        )
        for name, keys in {"white": [65, 69, 72], "sharp": [66, 70, 73]}.items()
    }
    chroma = {}
    for name, melody in melodies.items():
        requests = [
            TakeRequest("a folk tune with flute", 300 + i, seconds=6, melody=melody)
            for i in range(6)
        ]
        chroma[name] = np.mean(
            [mean_chroma(take.clip) for take in pocket.generate_batch(requests)], axis=0
        )
        chroma[name] /= chroma[name].sum()  # independent of the level
    white, sharp = [5, 9, 0], [6, 10, 1]
    contrast = chroma["white"] - chroma["sharp"]
    assert contrast[white].sum() > 0 > contrast[sharp].sum()


def test_requests_beyond_the_limits_are_refused(pocket):
    with pytest.raises(
        tonearm.TonearmError, match="window of 10 s, which engine reference cannot exceed"
    ):
        pocket.with_engine("reference").generate("a folk tune", seconds=11)
    with pytest.raises(tonearm.TonearmError, match="tokens, pocket reads 24"):
        pocket.generate("a folk tune " * 12, seconds=1)


def test_takes_can_be_longer_than_the_window(pocket):
    take = pocket.generate("a fast folk tune with flute", seconds=16, seed=3)
    assert take.seconds == pytest.approx(16)
    thirds = np.array_split(take.clip.mono, 4)
    levels = [20 * np.log10(np.sqrt((part**2).mean())) for part in thirds]
    assert max(levels) - min(levels) < 12  # dB: the level is stable
    same = pocket.generate("a fast folk tune with flute", seconds=10, seed=3)
    assert (take.codes[:, :240] == same.codes[:, :240]).all()
