"""CLAP evaluator: one embedding space for audio and text.

Source: Wu et al. 2023, "Large-scale contrastive language-audio pretraining with feature fusion and
keyword-to-caption augmentation", ICASSP; `transformers.ClapModel`.

    bundled                     the small CLAP that ships with Tonearm, trained on pocket's corpus;
                                its numbers are labelled "bundled CLAP"
    laion/clap-htsat-unfused    a hub id
    a folder                    saved by `ClapModel.save_pretrained` and
                                `ClapProcessor.save_pretrained`

Sample rate, window and features are those of the checkpoint's own feature extractor. Clips are
mixed to mono. CLAP crops a clip longer than its window at random; here windows are fixed instead,
as few as cover the clip, evenly spaced:

    |------------- clip -------------|
    |--- window ---|                        their unit embeddings are averaged,
             |--- window ---|               and the mean is scaled to length 1
                      |--- window ---|

A shorter clip is padded by the feature extractor (the released ones repeat it).

Shapes: embeddings are [n, D] with unit rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import assets
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.fingerprint import TOKENIZER_FILES, fingerprint
from tonearm.loading import (
    NO_CODE,
    REPORTED,
    check_code,
    check_pretrained,
    loading_errors,
    may_be_hub_id,
)
from tonearm.text import quoted

BUNDLED = "bundled"
PUBLISHED = "laion/clap-htsat-unfused"  # the evaluator of Panda et al. 2025
WINDOWS_PER_BATCH = 8
WINDOWING = 1  # version of the windowing, part of the fingerprint
FEATURE_SETTINGS = (
    *(
        "sampling_rate",
        "max_length_s",
        "fft_window_size",
        "hop_length",
        "feature_size",
        "frequency_min",
        "frequency_max",
    ),
    *("top_db", "truncation", "padding"),
)
FEATURE_LIMITS = {
    "sampling_rate": (1000, 1_000_000),
    "max_length_s": (0.1, 600),
    "fft_window_size": (16, 2**16),
    "hop_length": (1, 2**16),
    "feature_size": (1, 1024),
}
MAX_LAYERS = 1000
MAX_VALUES = 2**30  # weights; the published checkpoints have up to 200 million
TOWER_SETTINGS = (
    "spec_size",
    "patch_size",
    "patch_stride",
    "window_size",
    "depths",
    "num_attention_heads",
    "enable_fusion",
)
REMEDY = f"give {BUNDLED}, a hub id such as {PUBLISHED}, or a folder with a CLAP checkpoint"


class ClapEvaluator:
    """CLAP checkpoint that embeds clips and texts.

    Args:
        checkpoint: "bundled", a hub id, or a folder.
        device: torch device.

    Raises:
        TonearmError: no such checkpoint.
    """

    def __init__(self, checkpoint: str | Path = BUNDLED, device: str = "cpu") -> None:
        source = _source(str(checkpoint))
        is_bundled = str(checkpoint) == BUNDLED
        self.name = "bundled CLAP" if is_bundled else f"CLAP {_short_name(str(checkpoint))}"
        with loading_errors(f"{quoted(str(checkpoint))} as CLAP", REMEDY):
            self._model, self._features, self._tokenizer = _load(str(checkpoint), source, device)
            self.sample_rate: int = self._features.sampling_rate
            self.window_samples: int = self._features.nb_max_samples
            self.windows = f"{self.window_samples / self.sample_rate:g}-s windows averaged"
            self.fingerprint = _fingerprint(source, self._model, self._features)
            self.logit_scale = float(self._model.logit_scale_a.exp())
            self._check_rows()

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """Embed each clip: unit rows, float32 [n, D].

        Raises TonearmError for a clip without samples, or with NaN or infinite ones.
        """
        windows = [self._cut(clip) for clip in clips]
        rows = self._embed_windows([window for of_clip in windows for window in of_clip])
        ends = np.cumsum([len(of_clip) for of_clip in windows])
        means = [part.mean(0) for part in np.split(rows, ends[:-1])]
        return np.stack([mean / np.linalg.norm(mean) for mean in means]).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed each text: unit rows, float32 [n, D]."""
        import torch

        with torch.inference_mode():
            tokens = self._tokens(texts).to(self._model.device)
            found = self._model.get_text_features(
                input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
            )
        return found.pooler_output.float().cpu().numpy()

    def check_words(self, text: str) -> None:
        """Raise TonearmError for a text without a word in the vocabulary."""
        if not text.strip():
            raise TonearmError("an empty text cannot be scored; give a label or a description")
        ids = self._tokenizer(text, add_special_tokens=False).input_ids
        if all(token == self._tokenizer.unk_token_id for token in ids):
            raise TonearmError(
                f"no word of {text!r} is in the vocabulary of {self.name}; "
                "use other words, or another evaluator (--clap)"
            )

    def _check_rows(self) -> None:
        """Embed noise and a word; some values of a configuration fail only here.

        Raises:
            ValueError: rows that are not finite, or of different widths, or a vocabulary larger
                than the text encoder's.
        """
        size = self._model.config.text_config.vocab_size
        highest = max(self._tokenizer.get_vocab().values())
        if highest >= size:
            raise ValueError(f"token {highest} is beyond the text encoder's {size} tokens")
        noise = np.random.default_rng(0).normal(0, 0.1, self.sample_rate // 2)
        rows = self.embed([Clip(noise, self.sample_rate)]), self.embed_texts(["music"])
        if not all(np.isfinite(row).all() for row in (*rows, self.logit_scale)):
            raise ValueError("its embeddings are not finite")
        if rows[0].shape != rows[1].shape:
            raise ValueError(f"rows of audio are {rows[0].shape}, of text {rows[1].shape}")

    def _cut(self, clip: Clip) -> list[np.ndarray]:
        """Windows float32 [window_samples], or one shorter one."""
        if not clip.samples.size or not np.isfinite(clip.samples).all():
            raise TonearmError(
                "a clip without samples, or with some that are NaN or infinite, cannot be "
                "embedded; leave it out"
            )
        mono = Clip(clip.mono, clip.sample_rate).resampled(self.sample_rate).samples[0]
        if not mono.size:
            raise TonearmError(
                f"a clip of {clip.seconds:.1g} s is too short to be embedded; leave it out"
            )
        count = max(1, -(-mono.size // self.window_samples))
        starts = np.linspace(0, max(0, mono.size - self.window_samples), count).round().astype(int)
        return [mono[start : start + self.window_samples] for start in starts]

    def _embed_windows(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        """Unit rows, float32 [windows, D]."""
        import torch

        rows = []
        for first in range(0, len(windows), WINDOWS_PER_BATCH):
            batch = self._features(
                list(windows[first : first + WINDOWS_PER_BATCH]),
                sampling_rate=self.sample_rate,
                return_tensors="pt",
            )
            # Where no clip is longer than the window, the extractor marks one as longer at random.
            is_longer = torch.zeros_like(torch.as_tensor(batch["is_longer"]), dtype=torch.bool)
            features = batch["input_features"].to(self._model.device, self._model.dtype)
            with torch.inference_mode():
                found = self._model.get_audio_features(
                    input_features=features, is_longer=is_longer.to(features.device)
                )
            rows.append(found.pooler_output.float().cpu().numpy())
        return np.concatenate(rows)

    def _tokens(self, texts: Sequence[str]) -> Any:
        # RoBERTa numbers positions from its padding index + 1, which leaves two of them unused.
        longest = min(
            self._tokenizer.model_max_length,
            self._model.config.text_config.max_position_embeddings - 2,
        )
        return self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )


def bundled_clap_folder() -> Path:
    return assets.CLAP


def _source(checkpoint: str) -> str:
    """Folder or hub id for transformers."""
    if checkpoint == BUNDLED:
        folder = bundled_clap_folder()
        if not (folder / "config.json").is_file():
            raise TonearmError(
                f"this installation has no bundled CLAP; give --clap {PUBLISHED}, or a folder with "
                "a CLAP checkpoint"
            )
        return str(folder)
    if not Path(checkpoint).is_dir() and not may_be_hub_id(checkpoint):
        raise TonearmError(f"no CLAP checkpoint at {quoted(checkpoint)}; {REMEDY}")
    return checkpoint


def _short_name(checkpoint: str) -> str:
    """Name of a folder without its path; a hub id unchanged."""
    return Path(checkpoint).resolve().name if Path(checkpoint).is_dir() else checkpoint


def _load(checkpoint: str, source: str, device: str) -> tuple[Any, Any, Any]:
    """Model in float32, feature extractor, tokenizer."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(source, **NO_CODE)
    if config.model_type != "clap":
        raise TonearmError(f"{checkpoint} is a {config.model_type} checkpoint, not CLAP; {REMEDY}")
    check_code(checkpoint, transformers.PreTrainedConfig.get_config_dict(source)[0], REMEDY)
    _check_sizes(config)
    settings, _ = transformers.ClapFeatureExtractor.get_feature_extractor_dict(source)
    _check_features(settings)
    model, info = transformers.ClapModel.from_pretrained(
        source, dtype=torch.float32, **REPORTED, **NO_CODE
    )
    check_pretrained(checkpoint, source, model, info, REMEDY)
    features = transformers.ClapFeatureExtractor.from_pretrained(source, **NO_CODE)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, **NO_CODE)
    check_code(checkpoint, tokenizer.init_kwargs, REMEDY)
    return model.to(device).eval().requires_grad_(False), features, tokenizer


def _check_sizes(config: Any) -> None:
    """Raise ValueError for a configuration of a model larger than any CLAP."""
    import torch
    import transformers

    layers = sum(config.audio_config.depths) + config.text_config.num_hidden_layers
    if not 0 < layers <= MAX_LAYERS:
        raise ValueError(f"config.json states {layers} layers")
    with torch.device("meta"):  # shapes, without memory for weights
        model = transformers.ClapModel(config)
    values = sum(parameter.numel() for parameter in model.parameters())
    if values > MAX_VALUES:
        raise ValueError(f"config.json states {values} weights, of which {MAX_VALUES} are possible")


def _check_features(settings: Mapping[str, Any]) -> None:
    """Raise ValueError for settings of the feature extractor that no music needs."""
    for name, (low, high) in FEATURE_LIMITS.items():
        value = settings.get(name, low)
        if not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(
                f"{name} of the feature extractor is {quoted(value)}, not {low} to {high}"
            )


def _fingerprint(source: str, model: Any, features: Any) -> str:
    """Hash of the weights, the tokenizer, and the settings that affect a row, 16 hex digits."""
    # By name: a setting added by a later transformers must not invalidate trained classifiers.
    settings = [getattr(features, name) for name in FEATURE_SETTINGS]
    settings += [getattr(model.config.audio_config, name) for name in TOWER_SETTINGS]
    return fingerprint(source, TOKENIZER_FILES, [WINDOWING, *settings])
