"""CLAP evaluator: equality with transformers, windows, cache, and refusal of other files."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, ClapModel, ClapProcessor

from tests import foreign_code
from tests.evaluators import tiny_clap
from tests.evaluators.tiny_clap import TINY_RATE, TINY_SECONDS
from tests.measures.sounds import clicks, noise, silence, tone
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators import clap
from tonearm.evaluators.cache import CachedClap
from tonearm.evaluators.clap import ClapEvaluator
from tonearm.measures.clap_score import measure_clap_score, measure_clap_scores
from tonearm.measures.zero_shot import measure_zero_shot, measure_zero_shots

LABELS = ("jazz", "rock", "folk")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clap.save_tiny(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def evaluator(folder: Path) -> ClapEvaluator:
    return ClapEvaluator(folder)


def window(seed: int = 0) -> Clip:
    """One window at the evaluator's own sample rate."""
    return noise_at(TINY_RATE, TINY_SECONDS, seed)


def noise_at(rate: int, seconds: float, seed: int = 0) -> Clip:
    return Clip(0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate)), rate)


def test_scores_are_those_of_transformers_on_one_window(
    folder: Path, evaluator: ClapEvaluator
) -> None:
    processor, model = (
        ClapProcessor.from_pretrained(folder),
        ClapModel.from_pretrained(folder, dtype=torch.float32),
    )
    texts = [f"This is a sound of {label}." for label in LABELS]
    clip = window()
    inputs = processor(
        text=texts,
        audio=[clip.samples[0]],
        sampling_rate=TINY_RATE,
        return_tensors="pt",
        padding=True,
    )
    with torch.inference_mode():
        expected = model(**inputs)
    found = measure_zero_shot(clip, evaluator, LABELS)
    np.testing.assert_allclose(
        list(found.probabilities.values()), expected.logits_per_audio[0].softmax(-1), atol=1e-5
    )
    np.testing.assert_allclose(evaluator.embed([clip])[0], expected.audio_embeds[0], atol=1e-6)
    np.testing.assert_allclose(evaluator.embed_texts(texts), expected.text_embeds, atol=1e-6)


def test_rate_windows_and_name_are_those_of_the_checkpoint(evaluator: ClapEvaluator) -> None:
    assert evaluator.sample_rate == TINY_RATE
    assert evaluator.windows == "2-s windows averaged"
    assert evaluator.name == "CLAP tiny"


def test_a_long_clip_is_the_mean_of_its_fixed_windows_and_a_repeated_one_is_the_same(
    evaluator: ClapEvaluator,
) -> None:
    first, second = window(0), window(1)
    both = Clip(np.concatenate([first.samples, second.samples], axis=1), TINY_RATE)
    mean = evaluator.embed([first, second]).mean(0)
    np.testing.assert_allclose(evaluator.embed([both])[0], mean / np.linalg.norm(mean), atol=1e-6)
    thrice = Clip(np.tile(first.samples, 3), TINY_RATE)
    np.testing.assert_allclose(evaluator.embed([thrice]), evaluator.embed([first]), atol=1e-6)
    np.testing.assert_array_equal(
        evaluator.embed([both]), evaluator.embed([both])
    )  # no window is drawn at random


def test_windows_are_as_few_as_cover_the_clip_and_evenly_spaced(evaluator: ClapEvaluator) -> None:
    samples = np.arange(5 * TINY_RATE) / (5 * TINY_RATE)
    windows = evaluator._cut(Clip(samples, TINY_RATE))
    assert [len(one) for one in windows] == [2 * TINY_RATE] * 3
    np.testing.assert_allclose(
        [one[0] for one in windows], [samples[0], samples[12_000], samples[24_000]], atol=1e-6
    )
    assert windows[-1][-1] == pytest.approx(samples[-1])
    assert [len(one) for one in evaluator._cut(noise_at(TINY_RATE, 0.1))] == [800]


def test_rows_have_length_one_and_are_independent_of_the_batch(evaluator: ClapEvaluator) -> None:
    clips = [noise(5), clicks(120, 3), tone(440, 0.1), window(3)]
    together = evaluator.embed(clips)
    assert together.shape == (4, 12) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    for clip, row in zip(clips, together, strict=True):
        np.testing.assert_allclose(evaluator.embed([clip])[0], row, atol=1e-5)


def test_stereo_equals_its_mono_mix_and_other_rates_nearly_equal(evaluator: ClapEvaluator) -> None:
    clip = clicks(120, 2)
    np.testing.assert_array_equal(
        evaluator.embed([Clip(clip.samples.repeat(2, 0), clip.sample_rate)]),
        evaluator.embed([clip]),
    )
    np.testing.assert_allclose(
        evaluator.embed([clip.resampled(44_100)]), evaluator.embed([clip]), atol=0.01
    )


def test_zero_shot_probabilities_depend_on_the_labels_and_cosines_do_not(
    evaluator: ClapEvaluator,
) -> None:
    found = measure_zero_shot(window(), evaluator, LABELS, "a {} sound")
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.best == max(found.cosines, key=found.cosines.get)
    assert found.protocol == (
        "zero-shot by CLAP tiny, 2-s windows averaged, template 'a {} sound', "
        "labels jazz, rock, folk"
    )
    fewer = measure_zero_shot(window(), evaluator, LABELS[:2], "a {} sound")
    assert fewer.cosines == pytest.approx(
        {label: found.cosines[label] for label in LABELS[:2]}, abs=1e-6
    )
    assert fewer.probabilities["jazz"] > found.probabilities["jazz"]
    assert json.loads(json.dumps(found.to_dict()))["cosines"] == found.cosines


def test_the_clap_score_is_the_cosine_with_the_clips_own_text(evaluator: ClapEvaluator) -> None:
    clips, texts = [window(0), silence(), window(1)], ["fast jazz", "slow rock", "slow rock"]
    found = measure_clap_scores(clips, evaluator, texts)
    cosines = (
        evaluator.embed([window(0), window(1)])
        @ evaluator.embed_texts(["fast jazz", "slow rock"]).T
    )
    assert [one.value for one in found] == [
        pytest.approx(cosines[0, 0], abs=1e-5),
        None,
        pytest.approx(cosines[1, 1], abs=1e-5),
    ]
    assert found[0].protocol == "CLAP tiny, 2-s windows averaged, text 'fast jazz'"
    assert measure_clap_score(window(0), evaluator, "fast jazz").value == pytest.approx(
        found[0].value, abs=1e-6
    )


@pytest.mark.parametrize("template", ["a {} of {x}", "{} {0}", "{} }", "a {{}}"])
def test_a_template_is_text_but_for_its_place(
    evaluator: ClapEvaluator, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    asked, embed = [], evaluator.embed_texts
    monkeypatch.setattr(
        evaluator, "embed_texts", lambda texts: asked.extend(texts) or embed(LABELS)
    )
    measure_zero_shot(window(), evaluator, LABELS, template)
    assert asked == [template.replace("{}", label) for label in LABELS]


def test_silence_has_no_scores_and_nan_is_refused(evaluator: ClapEvaluator) -> None:
    found = measure_zero_shots(
        [silence(), Clip(np.full(8000, np.nan), 8000), silence(0)], evaluator, LABELS
    )
    assert all(
        one.probabilities is None and one.best is None and one.to_dict()["cosines"] is None
        for one in found
    )
    for clip in (Clip(np.full(8000, np.nan), 8000), silence(0)):
        with pytest.raises(TonearmError, match="leave it out"):
            evaluator.embed([clip])


@pytest.mark.parametrize(
    ("labels", "template", "message"),
    [
        (("jazz",), "a {}", "two or more"),
        ((), "a {}", "two or more"),
        (("jazz", "jazz "), "a {}", "repeated"),
        (LABELS, "a sound", "no place for the label"),
        (("jazz", "zydeco"), "a {}", "no word of 'zydeco'"),
        (("jazz", ""), "a {}", "empty"),
    ],
)
def test_labels_that_cannot_be_scored_are_refused(
    evaluator: ClapEvaluator, labels: tuple[str, ...], template: str, message: str
) -> None:
    with pytest.raises(TonearmError, match=message):
        measure_zero_shot(window(), evaluator, labels, template)


def test_a_text_longer_than_the_context_is_truncated(evaluator: ClapEvaluator) -> None:
    assert evaluator.embed_texts(["jazz " * 500]).shape == (1, 12)


def test_the_cache_is_transparent_and_separate_for_each_checkpoint(
    evaluator: ClapEvaluator, tmp_path: Path
) -> None:
    cached = CachedClap(evaluator, tmp_path / "cache")
    assert measure_zero_shot(window(), cached, LABELS) == measure_zero_shot(
        window(), evaluator, LABELS
    )
    assert measure_zero_shot(window(), cached, LABELS) == measure_zero_shot(
        window(), evaluator, LABELS
    )
    other = ClapEvaluator(tiny_clap.save_tiny(tmp_path / "other", seed=1))
    assert other.fingerprint != evaluator.fingerprint
    assert not np.allclose(
        CachedClap(other, tmp_path / "cache").embed([window()]), cached.embed([window()])
    )


def test_the_fingerprint_depends_on_settings_and_every_weight_and_not_on_the_folder(
    folder: Path, evaluator: ClapEvaluator, tmp_path: Path
) -> None:
    for name in ("copy", "settings", "weights"):
        (tmp_path / name).mkdir()
        for file in folder.iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    assert ClapEvaluator(tmp_path / "copy").fingerprint == evaluator.fingerprint
    settings = tmp_path / "settings" / "processor_config.json"
    settings.write_text(settings.read_text().replace('"repeatpad"', '"pad"'))
    assert ClapEvaluator(tmp_path / "settings").fingerprint != evaluator.fingerprint
    weights = load_file(folder / "model.safetensors")
    weights["audio_model.audio_encoder.norm.bias"] += 1
    save_file(weights, tmp_path / "weights" / "model.safetensors", {"format": "pt"})
    assert ClapEvaluator(tmp_path / "weights").fingerprint != evaluator.fingerprint


def test_the_bundled_clap_is_named_in_protocols(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clap, "bundled_clap_folder", lambda: folder)
    found = measure_clap_score(window(), ClapEvaluator(), "jazz")
    assert found.protocol.startswith("bundled CLAP, ")


def test_without_a_bundled_clap_the_message_gives_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clap, "bundled_clap_folder", lambda: tmp_path)
    with pytest.raises(TonearmError, match="--clap laion/clap-htsat-unfused"):
        ClapEvaluator()


def test_other_files_are_refused_in_one_line(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bert").mkdir()
    BertConfig().save_pretrained(tmp_path / "bert")
    torn = tmp_path / "torn"
    torn.mkdir()
    for file in folder.iterdir():
        (torn / file.name).write_bytes(
            file.read_bytes()[: 20_000 if file.suffix == ".safetensors" else None]
        )
    for given in (tmp_path / "empty", tmp_path / "bert", torn, tmp_path / "absent", "nonsense"):
        with pytest.raises(TonearmError, match="laion/clap-htsat-unfused") as caught:
            ClapEvaluator(given)
        assert str(given) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_unreachable_hub_id_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TonearmError, match="cannot load 'laion/clap-htsat-unfused' as CLAP"):
        ClapEvaluator("laion/clap-htsat-unfused")


Tensors = dict[str, torch.Tensor]
EXAMPLE = "audio_projection.linear2.weight"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: {k: v for k, v in t.items() if k != EXAMPLE}, f"1 missing ({EXAMPLE})"),
        (lambda t: {f"module.{k}": v for k, v in t.items()}, "remove 'module.'"),
        (
            lambda t: {f"_orig_mod.{k}": v for k, v in t.items()},
            "unexpected (_orig_mod.audio_model.",
        ),
        (lambda t: t | {"foreign.weight": torch.zeros(2)}, "1 unexpected (foreign.weight)"),
        (lambda t: t | {EXAMPLE: torch.zeros(3, 3)}, f"1 of another shape ({EXAMPLE})"),
    ],
)
def test_missing_unexpected_and_mismatched_tensors_are_refused(
    tmp_path: Path, folder: Path, change: Callable[[Tensors], Tensors], expected: str
) -> None:
    changed = shutil.copytree(folder, tmp_path / "changed")
    save_file(
        change(load_file(folder / "model.safetensors")),
        changed / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(TonearmError) as caught:
        ClapEvaluator(changed)
    assert (
        expected in str(caught.value)
        and clap.REMEDY in str(caught.value)
        and "\n" not in str(caught.value)
    )


@pytest.mark.parametrize("named_by", ["config", "tokenizer", "pickled weights"])
def test_code_of_a_folder_never_runs(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    questions = foreign_code.answer_yes(monkeypatch)
    foreign, marker = shutil.copytree(folder, tmp_path / "foreign"), tmp_path / "marker"
    if named_by == "config":
        foreign_code.name_code_in_config(foreign, marker)
    elif named_by == "tokenizer":
        foreign_code.name_code_in_tokenizer(foreign, marker)
    else:
        weights = foreign / "model.safetensors"
        torch.save(
            {**load_file(weights), "payload": foreign_code.Payload(marker)},
            foreign / "pytorch_model.bin",
        )
        weights.unlink()
    with pytest.raises(TonearmError, match=r"custom code|pickled weights") as caught:
        ClapEvaluator(foreign)
    assert "\n" not in str(caught.value)
    assert not questions and not marker.exists()


def test_no_torchaudio_is_needed(evaluator: ClapEvaluator) -> None:
    evaluator.embed([window()])
    assert "torchaudio" not in sys.modules


def test_a_checkpoint_of_the_published_shape_loads_and_embeds_48_khz(tmp_path: Path) -> None:
    evaluator = ClapEvaluator(tiny_clap.save_real_shape(tmp_path / "real"))
    try:
        assert (evaluator.sample_rate, evaluator.windows) == (48_000, "10-s windows averaged")
        assert evaluator.window_samples == 480_000
        assert measure_zero_shot(noise(1), evaluator, LABELS).best in LABELS
        assert evaluator.embed_texts(["jazz"]).shape == (1, 512)
    finally:
        (tmp_path / "real" / "model.safetensors").unlink()  # 300 MB


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("config.json", ("audio_config", "depths"), [10**9, 1]),
        ("config.json", ("audio_config", "depths"), "x"),
        ("config.json", ("audio_config", "patch_embeds_hidden_size"), 10**7),
        ("config.json", ("audio_config", "window_size"), 0),
        ("config.json", ("audio_config", "spec_size"), -1),
        ("config.json", ("text_config", "num_hidden_layers"), 10**9),
        ("config.json", ("text_config", "vocab_size"), 5),
        ("config.json", ("text_config", "hidden_act"), "x"),
        ("config.json", ("projection_dim",), None),
        ("processor_config.json", ("feature_extractor", "sampling_rate"), 0),
        ("processor_config.json", ("feature_extractor", "sampling_rate"), "x"),
        ("processor_config.json", ("feature_extractor", "hop_length"), 0),
        ("processor_config.json", ("feature_extractor", "fft_window_size"), 10**9),
        ("processor_config.json", ("feature_extractor", "max_length_s"), 10**9),
        ("processor_config.json", ("feature_extractor", "feature_size"), 10**6),
        ("tokenizer.json", ("model",), {}),
        ("tokenizer.json", ("model", "vocab", "jazz"), 10**6),
    ],
)
def test_edited_configurations_are_refused_in_one_line(
    folder: Path, tmp_path: Path, file: str, keys: tuple[str, ...], value: object
) -> None:
    edited = Path(shutil.copytree(folder, tmp_path / "edited"))
    content = json.loads((edited / file).read_text())
    owner = content
    for key in keys[:-1]:
        owner = owner[key]
    assert keys[-1] in owner
    owner[keys[-1]] = value
    (edited / file).write_text(json.dumps(content))
    with pytest.raises(TonearmError, match="edited") as caught:
        ClapEvaluator(edited)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 900


def test_weights_that_are_not_finite_are_refused(folder: Path, tmp_path: Path) -> None:
    edited = Path(shutil.copytree(folder, tmp_path / "edited"))
    tensors = load_file(edited / "model.safetensors")
    tensors["audio_projection.linear1.weight"][0] = torch.nan
    save_file(tensors, edited / "model.safetensors", {"format": "pt"})
    with pytest.raises(TonearmError, match="its embeddings are not finite"):
        ClapEvaluator(edited)
