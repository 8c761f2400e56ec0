"""Training under perturbation: planted shifts, resuming, and the mean of two sets of weights."""

import json

import numpy as np
import pytest
import torch
from recipes.pocket import robust
from recipes.pocket.captions import build_tokenizer
from recipes.pocket.codec import build_codec
from recipes.pocket.corpus import MELODY_FRAMES
from recipes.pocket.decoder import build_model
from recipes.pocket.robust import Perturbation, draw_shifts, save_average, train_robust
from recipes.pocket.settings import Settings
from recipes.pocket.text import text_config
from safetensors.torch import load_file
from transformers import T5EncoderModel

from tests.recipes.training_runs import assert_equal_states, train_with_interruption
from tonearm.datasets.rendering.compose import FRAMES_PER_CLIP, compose

SETTINGS = Settings(
    codebooks=2,
    codebook_size=16,
    layers=3,
    decoder_batch=2,
    robust_steps=4,
    checkpoint_every=2,
    robust_rate=1e-3,
)


@pytest.fixture
def folder(tmp_path):
    """Corpus, codes and a checkpoint with random weights."""
    for name in ("corpus", "codes"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("held-out", 64)):
        labels = "".join(json.dumps(compose(seed).labels()) + "\n" for seed in range(count))
        (tmp_path / "corpus" / f"{split}-0000.jsonl").write_text(labels)
        codes = rng.integers(0, 16, (count, 2, FRAMES_PER_CLIP)).astype(np.int16)
        np.save(tmp_path / "codes" / f"{split}-0000.npy", codes)
        with (tmp_path / "corpus" / f"{split}-0000.melody").open("wb") as file:
            np.save(file, rng.integers(0, 12, (count, MELODY_FRAMES)).astype(np.uint8))
    tokenizer = build_tokenizer(SETTINGS.text_tokens, tmp_path / "pocket")
    model = build_model(SETTINGS, T5EncoderModel(text_config(SETTINGS, tokenizer)), codec())
    del model.beat_head
    model.half().save_pretrained(tmp_path / "pocket")
    return tmp_path


def codec():
    return build_codec(SETTINGS)


def test_shifts_have_the_norms_and_patterns_of_steering():
    shifts = draw_shifts(4000, layers=4, width=8, rng=np.random.default_rng(0), largest=5.0)
    norms = shifts.norm(dim=-1)  # [L, B]
    moved = norms.amax(0) > 0
    assert abs(moved.float().mean() - robust.PERTURBED_ROWS) < 0.03
    single = moved & ((norms > 0).sum(0) == 1)
    everywhere = moved & ~single
    assert norms[:, everywhere].max() <= 5.0 and norms[:, everywhere].mean() > 2.3
    assert abs(single.sum() / moved.sum() - robust.PATTERNS["one_layer"]) < 0.03
    equal = (shifts == shifts[:1]).all(dim=(0, 2)) & moved
    assert abs(equal.sum() / moved.sum() - robust.PATTERNS["one_to_all"]) < 0.03


def test_shifts_act_after_the_prefix_and_left_out_layers_pass_their_input_on(folder):
    from transformers import MusicgenMelodyForConditionalGeneration

    model = MusicgenMelodyForConditionalGeneration.from_pretrained(folder / "pocket").float().eval()
    layers = model.decoder.model.decoder.layers
    hidden = torch.randn(2, 9, model.config.decoder.hidden_size)
    seen = []
    shifts = torch.zeros(3, 2, hidden.shape[-1])
    shifts[1, 0] = 7.0

    def through() -> torch.Tensor:
        h, states = hidden, []
        for layer in layers:
            out = layer(h, attention_mask=None)
            h = out[0] if isinstance(out, tuple) else out
            states.append(h)
        return torch.stack(states)

    with torch.no_grad():
        plain = through()
        with Perturbation(shifts, prefix=4).installed(model):
            seen = through()
        with Perturbation(dropped=frozenset({0})).installed(model):
            without = through()
        assert torch.equal(through(), plain)  # the hooks are gone
    assert torch.equal(seen[0], plain[0])
    assert torch.allclose(seen[1, 0, 4:], plain[1, 0, 4:] + 7.0, atol=1e-5)
    assert torch.equal(seen[1, 0, :4], plain[1, 0, :4]) and torch.equal(seen[1, 1], plain[1, 1])
    assert torch.equal(without[0], hidden)


def test_an_interrupted_run_ends_with_the_same_state_and_the_mean_of_the_weights(
    folder, monkeypatch
):
    monkeypatch.setattr(robust, "_report", lambda *_: None)

    def train() -> None:
        train_robust(folder / "corpus", folder, SETTINGS)

    train()
    first = load_file(folder / "pocket_robust" / "model.safetensors")
    (folder / "pocket_robust").rename(folder / "uninterrupted")
    (folder / "robust.pt").rename(folder / "uninterrupted.pt")
    train_with_interruption(robust, 2, train)
    assert_equal_states(folder / "uninterrupted.pt", folder / "robust.pt", steps=4)
    again = load_file(folder / "pocket_robust" / "model.safetensors")
    assert all(torch.equal(first[name], again[name]) for name in first)
    before = load_file(folder / "pocket" / "model.safetensors")
    trained = torch.load(folder / "robust.pt", weights_only=True)["model"]
    changed = 0
    for name, value in before.items():
        if value.is_floating_point():
            expected = 0.3 * value.float() + 0.7 * trained[name].float()
            assert torch.allclose(first[name].float(), expected, atol=2e-3), name
            changed += not torch.equal(first[name], value)
    assert changed
    frozen = [name for name in before if name.startswith(("text_encoder", "audio_encoder"))]
    assert frozen and all(torch.equal(first[name], before[name]) for name in frozen)
    for name in ("config.json", "tokenizer.json"):
        assert (folder / "pocket_robust" / name).read_bytes() == (
            folder / "pocket" / name
        ).read_bytes()


def test_the_mean_at_share_0_and_1_is_either_set_of_weights(folder):
    from transformers import MusicgenMelodyForConditionalGeneration

    trained = MusicgenMelodyForConditionalGeneration.from_pretrained(folder / "pocket").float()
    with torch.no_grad():
        for parameter in trained.decoder.parameters():
            parameter.add_(0.5)
    before = load_file(folder / "pocket" / "model.safetensors")
    for share in (0.0, 1.0):
        save_average(trained, folder / "pocket", folder / f"mean-{share}", share)
        found = load_file(folder / f"mean-{share}" / "model.safetensors")
        expected = before if share == 0 else trained.state_dict()
        assert all(torch.equal(found[name], expected[name].half()) for name in found)
