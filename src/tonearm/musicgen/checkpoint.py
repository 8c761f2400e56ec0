"""Load any MusicGen: pocket, a hub id, or a local folder. One table holds what differs between the variants."""

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import safetensors
import torch
import transformers

from tonearm import assets
from tonearm.errors import TonearmError
from tonearm.loading import NO_CODE, REPORTED, check_code, check_pretrained
from tonearm.musicgen.delay import lags
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.vector import Site

POCKET = "pocket"
TOKENIZER_FILES = ("tokenizer.json", "spiece.model")
WHOLE = "save the whole model, decoder, text encoder and codec, with `save_pretrained`"
CODELESS = "give a checkpoint that transformers loads without trust_remote_code"


@dataclass(frozen=True)
class Variant:
    """One released checkpoint: what a person chooses by."""

    name: str
    parameters: str
    text: str  # "cross-attention" or "prefix"
    channels: int
    licence: str
    window_seconds: float = 30.0
    melody: bool = False


MUSICGEN_LICENCE = "CC-BY-NC-4.0"
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(POCKET, "16 M", "prefix", 1, "Apache-2.0", window_seconds=10.0, melody=True),
        Variant("facebook/musicgen-small", "0.6 B", "cross-attention", 1, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-medium", "2.0 B", "cross-attention", 1, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-large", "3.4 B", "cross-attention", 1, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-melody", "1.6 B", "prefix", 1, MUSICGEN_LICENCE, melody=True),
        Variant("facebook/musicgen-melody-large", "3.4 B", "prefix", 1, MUSICGEN_LICENCE, melody=True),
        Variant("facebook/musicgen-stereo-small", "0.6 B", "cross-attention", 2, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-stereo-medium", "2.0 B", "cross-attention", 2, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-stereo-large", "3.4 B", "cross-attention", 2, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-stereo-melody", "1.6 B", "prefix", 2, MUSICGEN_LICENCE, melody=True),
        Variant("facebook/musicgen-stereo-melody-large", "3.4 B", "prefix", 2, MUSICGEN_LICENCE, melody=True),
    )
}


@dataclass(frozen=True)
class Family:
    """What differs between the two transformers classes."""

    model_class: str
    text_in_prefix: bool
    sites: tuple[Site, ...]
    default_pooling: str


FAMILIES = {
    "musicgen": Family(
        "MusicgenForConditionalGeneration", False, ("residual", "attention", "cross_attention", "heads"), "mean"
    ),
    "musicgen_melody": Family(
        "MusicgenMelodyForConditionalGeneration", True, ("residual", "attention", "heads"), "eos"
    ),
}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: `name` as the user gave it, `fingerprint` of its weights, and the shapes others need."""

    name: str
    fingerprint: str
    family: Family
    model: Any  # MusicgenForConditionalGeneration or MusicgenMelodyForConditionalGeneration
    tokenizer: Any
    licence: str
    window_seconds: float
    melody_trained: bool
    int8: bool = False  # the decoder multiplies by weights rounded to int8; `model` itself holds them unrounded
    lock: Any = field(default_factory=RLock, compare=False, repr=False)  # held while the model or tokenizer is changed

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.decoder.dtype

    @property
    def precision(self) -> str:
        """What the decoder's weights are multiplied as: one of PRECISIONS."""
        return INT8 if self.int8 else str(self.dtype).removeprefix("torch.")

    @property
    def layers(self) -> torch.nn.ModuleList:
        """Decoder blocks; index = layer."""
        return self.model.decoder.model.decoder.layers

    @property
    def layer_count(self) -> int:
        return len(self.layers)

    @property
    def width(self) -> int:
        return self.model.decoder.config.hidden_size

    @property
    def codebooks(self) -> int:
        return self.model.decoder.config.num_codebooks

    @property
    def channels(self) -> int:
        return self.model.decoder.config.audio_channels

    @property
    def bos(self) -> int:
        return self.model.generation_config.decoder_start_token_id

    @property
    def sampling(self) -> Sampling:
        """How its takes are drawn where nothing else is asked: guidance and temperature of its generation config (3 and 1 where that says nothing)."""
        said = self.model.generation_config
        return Sampling().overridden(said.guidance_scale, said.temperature)

    @property
    def sample_rate(self) -> int:
        return self.model.audio_encoder.config.sampling_rate

    @cached_property
    def frame_rate(self) -> int:
        """Frames (columns of codes) per second."""
        return self.model.audio_encoder.config.frame_rate

    @property
    def delay_frames(self) -> int:
        """Frames by which the last codebook lags the first."""
        return lags(self.codebooks, self.channels)[-1]

    @property
    def max_frames(self) -> int:
        return round(self.window_seconds * self.frame_rate)


def load_checkpoint(name: str = POCKET, device: str | None = None, dtype: str | None = None) -> Checkpoint:
    """Load `pocket`, a hub id, or a folder with a MusicGen checkpoint in transformers' form.

    device: "cpu", "cuda", "cuda:1", "mps"; left out, the best that is there. dtype: "float32", "bfloat16", "float16", or "int8" (CPU and
    engine decoder only: docs/performance.md says what it costs in quality); left out, float32 on CPU and MPS, bfloat16 on CUDA. Raises
    TonearmError for a name that is neither, a folder that is not MusicGen, and a device or dtype that is not there.
    """
    chosen_device = _device(device)
    chosen_dtype = _dtype(dtype, chosen_device)
    folder = pocket_folder() if name == POCKET else Path(name)
    source = str(folder) if folder.is_dir() else name
    if not folder.is_dir() and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise TonearmError(
            f"no checkpoint {name!r}; give {POCKET}, a folder, or a hub id such as facebook/musicgen-melody (`tonearm models`)"
        )
    config = _reading(name, lambda: transformers.AutoConfig.from_pretrained(source, **NO_CODE))
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise TonearmError(
            f"{name} is a {config.model_type} checkpoint, not MusicGen; Tonearm loads {' and '.join(FAMILIES)}"
        )
    if folder.is_dir() and not any((folder / file).is_file() for file in TOKENIZER_FILES):
        # transformers would make up an empty tokenizer, and every prompt would read the same
        raise TonearmError(
            f"{name} has no tokenizer ({' or '.join(TOKENIZER_FILES)}); save the tokenizer beside the weights"
        )
    raw_config, _ = _reading(name, lambda: transformers.PreTrainedConfig.get_config_dict(source))
    check_code(name, raw_config, CODELESS)
    # Stored dtype first: the fingerprint must not depend on the dtype that this run computes in.
    model_class = getattr(transformers, family.model_class)
    model, info = _reading(name, lambda: model_class.from_pretrained(source, dtype="auto", **REPORTED, **NO_CODE))
    _reading(name, lambda: check_pretrained(name, source, model, info, WHOLE))
    tokenizer = _reading(name, lambda: transformers.AutoTokenizer.from_pretrained(source, **NO_CODE))
    check_code(name, tokenizer.init_kwargs, CODELESS)
    fingerprint = fingerprint_of(model)
    model = model.to(chosen_device, chosen_dtype).eval().requires_grad_(False)
    model.decoder.set_attn_implementation("sdpa")
    known = VARIANTS.get(name)
    return Checkpoint(
        name=name, fingerprint=fingerprint, family=family, model=model, tokenizer=tokenizer,
        licence=known.licence if known else "unknown (see the checkpoint's own card)",
        window_seconds=known.window_seconds if known else _window_seconds(model),
        melody_trained=known.melody if known else family.text_in_prefix and model.config.chroma_length > 1, int8=dtype == INT8,
    )  # fmt: skip


def _window_seconds(model: Any) -> float:
    """What a checkpoint that is in no table decodes at a time: what its generation config says, in whole seconds, and at most what MusicGen learned."""
    rate = model.audio_encoder.config.frame_rate
    room = min(30.0, (model.decoder.config.max_position_embeddings - 512) / rate)
    said = model.generation_config.max_length
    return room if said is None or said < rate else min(room, float(said // rate))


def pocket_folder() -> Path:
    return assets.POCKET


def fingerprint_of(model: Any) -> str:
    """Sixteen hexadecimal digits over the decoder's configuration and a sample of every tensor of the checkpoint, as stored."""
    digest = hashlib.sha256()
    config = model.decoder.config
    shape = (
        config.hidden_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.num_codebooks,
        config.vocab_size,
    )
    digest.update(json.dumps(shape).encode())
    for key, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // 64)][:64].to("cpu", torch.float32)
        digest.update(f"{key}{tuple(tensor.shape)}".encode() + sample.numpy().astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def _reading(name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except pickle.UnpicklingError as error:  # torch's message explains how to run the code in the file
        raise TonearmError(
            f"cannot load checkpoint {name!r} (its pickled weights hold more than tensors, or are cut off); "
            "save them as safetensors with `save_pretrained`"
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, safetensors.SafetensorError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TonearmError(
            f"cannot load checkpoint {name!r} ({first_line}); `tonearm models` lists what can be loaded"
        ) from error


def _device(device: str | None) -> torch.device:
    if device is None:
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = device.split(":")[0]
    usable = [name for name, is_there in there.items() if is_there]
    if not there.get(kind):
        raise TonearmError(f"device {device!r} is not there; this machine has {', '.join(usable)}")
    try:
        return torch.device(device)
    except RuntimeError:
        raise TonearmError(f"device {device!r} is not understood; this machine has {', '.join(usable)}") from None


INT8 = "int8"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = (*DTYPES, INT8)


def _dtype(dtype: str | None, device: torch.device) -> torch.dtype:
    """The dtype to load in; int8 is rounded from float32 by the decoder."""
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in PRECISIONS:
        raise TonearmError(f"dtype {dtype!r} is not known; use one of {', '.join(PRECISIONS)}")
    if dtype == INT8 and device.type != "cpu":
        raise TonearmError(f"dtype int8 is for the CPU, not for {device.type}; use device cpu, or dtype bfloat16")
    return DTYPES.get(dtype, torch.float32)


def folder_of(name: str) -> str:
    """The name to write in files: a folder without the home it lies in."""
    return name if name in VARIANTS else Path(name).resolve().name if Path(name).is_dir() else name
