"""CLAP: a judge that puts sound and words into one space.

Source: Wu et al. 2023, "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption
augmentation", ICASSP; `transformers.ClapModel`.

    embedded                    the small judge that ships with Tonearm, trained on pocket's corpus; "embedded judge"
                                wherever its numbers are
    laion/clap-htsat-unfused    a hub id
    a folder                    saved by `ClapModel.save_pretrained` and `ClapProcessor.save_pretrained`

Sample rate, window and features are those of the checkpoint's own feature extractor. Clips are mixed to mono. CLAP
crops what is longer than its window at random; here windows are fixed instead, as few as cover the clip, evenly spaced:

    |------------- clip -------------|
    |--- window ---|                        their unit embeddings are averaged,
             |--- window ---|               and the mean is scaled to length 1
                      |--- window ---|

What is shorter is padded as the feature extractor says (the released ones repeat it).
"""

import hashlib
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import assets
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.loading import NO_CODE, REPORTED, check_code, check_pretrained

EMBEDDED = "embedded"
PANDA_JUDGE = "laion/clap-htsat-unfused"  # what Panda et al. 2025 judge by
WINDOWS_PER_BATCH = 8
SAMPLED_PER_TENSOR = 64
CUTTING = 1  # of clips into windows; to be raised when that changes
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
TOWER_SETTINGS = (
    "spec_size",
    "patch_size",
    "patch_stride",
    "window_size",
    "depths",
    "num_attention_heads",
    "enable_fusion",
)
GIVE = f"give {EMBEDDED}, a hub id such as {PANDA_JUDGE}, or a folder with a CLAP checkpoint"


class ClapEvaluator:
    """The CLAP checkpoint at `checkpoint`: "embedded", a hub id, or a folder.

    Raises TonearmError for what is no such checkpoint.
    """

    def __init__(self, checkpoint: str | Path = EMBEDDED, device: str = "cpu") -> None:
        source = _source(str(checkpoint))
        self.name = "embedded judge" if str(checkpoint) == EMBEDDED else f"CLAP {_told(str(checkpoint))}"
        self._model, self._features, self._tokenizer = _load(str(checkpoint), source, device)
        self.sample_rate: int = self._features.sampling_rate
        self.window_samples: int = self._features.nb_max_samples
        self.windows = f"{self.window_samples / self.sample_rate:g}-s windows averaged"
        self.fingerprint = _fingerprint(self._model, self._features)
        self.logit_scale = float(self._model.logit_scale_a.exp())

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """Unit rows, float32 [n, D]. Raises TonearmError for a clip without samples, or with NaN or infinite ones."""
        windows = [self._cut(clip) for clip in clips]
        rows = self._embed_windows([window for of_clip in windows for window in of_clip])
        ends = np.cumsum([len(of_clip) for of_clip in windows])
        means = [part.mean(0) for part in np.split(rows, ends[:-1])]
        return np.stack([mean / np.linalg.norm(mean) for mean in means]).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 [n, D]."""
        import torch

        with torch.inference_mode():
            tokens = self._tokens(texts).to(self._model.device)
            found = self._model.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return found.pooler_output.float().cpu().numpy()

    def check_words(self, text: str) -> None:
        """Raise TonearmError for a text of which this judge knows no word: its numbers would mean nothing."""
        if not text.strip():
            raise TonearmError("an empty text says nothing of a clip; give a label or a description")
        ids = self._tokenizer(text, add_special_tokens=False).input_ids
        if all(token == self._tokenizer.unk_token_id for token in ids):
            raise TonearmError(f"the {self.name} knows no word of {text!r}; use other words, or another judge (--clap)")

    def _cut(self, clip: Clip) -> list[np.ndarray]:
        """Windows float32 [window_samples], or one shorter one."""
        if not clip.samples.size or not np.isfinite(clip.samples).all():
            raise TonearmError(
                "a clip without samples, or with some that are NaN or infinite, cannot be judged; leave it out"
            )
        mono = Clip(clip.mono, clip.sample_rate).resampled(self.sample_rate).samples[0]
        count = max(1, -(-mono.size // self.window_samples))
        starts = np.linspace(0, max(0, mono.size - self.window_samples), count).round().astype(int)
        return [mono[start : start + self.window_samples] for start in starts]

    def _embed_windows(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        """Unit rows, float32 [windows, D]."""
        import torch

        rows = []
        for first in range(0, len(windows), WINDOWS_PER_BATCH):
            batch = self._features(
                list(windows[first : first + WINDOWS_PER_BATCH]), sampling_rate=self.sample_rate, return_tensors="pt"
            )
            # Where no clip is longer than the window, the extractor calls one of them so at random.
            is_longer = torch.zeros_like(torch.as_tensor(batch["is_longer"]), dtype=torch.bool)
            features = batch["input_features"].to(self._model.device, self._model.dtype)
            with torch.inference_mode():
                found = self._model.get_audio_features(input_features=features, is_longer=is_longer.to(features.device))
            rows.append(found.pooler_output.float().cpu().numpy())
        return np.concatenate(rows)

    def _tokens(self, texts: Sequence[str]) -> Any:
        # RoBERTa counts positions from the padding index on, which takes two of them.
        longest = min(self._tokenizer.model_max_length, self._model.config.text_config.max_position_embeddings - 2)
        return self._tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")


def bundled_clap_folder() -> Path:
    return assets.CLAP


def _source(checkpoint: str) -> str:
    """What transformers loads: a folder or a hub id."""
    if checkpoint == EMBEDDED:
        folder = bundled_clap_folder()
        if not (folder / "config.json").is_file():
            raise TonearmError(
                f"this Tonearm carries no embedded judge; give --clap {PANDA_JUDGE}, or a folder with a CLAP checkpoint"
            )
        return str(folder)
    if not Path(checkpoint).is_dir() and (checkpoint.count("/") != 1 or checkpoint.startswith((".", "/", "~"))):
        raise TonearmError(f"no CLAP checkpoint {checkpoint!r}; {GIVE}")
    return checkpoint


def _told(checkpoint: str) -> str:
    """A folder without the home it lies in; a hub id as it is."""
    return Path(checkpoint).resolve().name if Path(checkpoint).is_dir() else checkpoint


def _load(checkpoint: str, source: str, device: str) -> tuple[Any, Any, Any]:
    """Model in float32, feature extractor, tokenizer."""
    import safetensors
    import torch
    import transformers

    try:
        kind = transformers.AutoConfig.from_pretrained(source, **NO_CODE).model_type
        if kind != "clap":
            raise TonearmError(f"{checkpoint} is a {kind} checkpoint, not CLAP; {GIVE}")
        check_code(checkpoint, transformers.PreTrainedConfig.get_config_dict(source)[0], GIVE)
        model, info = transformers.ClapModel.from_pretrained(source, dtype=torch.float32, **REPORTED, **NO_CODE)
        check_pretrained(checkpoint, source, model, info, GIVE)
        features = transformers.ClapFeatureExtractor.from_pretrained(source, **NO_CODE)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **NO_CODE)
        check_code(checkpoint, tokenizer.init_kwargs, GIVE)
    except pickle.UnpicklingError as error:  # torch's message explains how to run the code in the file
        raise TonearmError(
            f"cannot load {checkpoint!r} as CLAP (its pickled weights hold more than tensors, or are cut off); {GIVE}"
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, safetensors.SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TonearmError(f"cannot load {checkpoint!r} as CLAP ({reason}); {GIVE}") from error
    return model.to(device).eval().requires_grad_(False), features, tokenizer


def _fingerprint(model: Any, features: Any) -> str:
    """Sixteen hexadecimal digits over the settings that matter to a row and a sample of every weight."""
    import torch

    # By name: what a later transformers adds to its settings must not orphan a trained classifier.
    settings = [getattr(features, name) for name in FEATURE_SETTINGS]
    settings += [getattr(model.config.audio_config, name) for name in TOWER_SETTINGS]
    digest = hashlib.sha256(json.dumps([CUTTING, *settings]).encode())
    for key, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // SAMPLED_PER_TENSOR)][:SAMPLED_PER_TENSOR].to("cpu", torch.float32)
        digest.update(f"{key}{tuple(tensor.shape)}".encode() + sample.numpy().astype("<f4").tobytes())
    return digest.hexdigest()[:16]
