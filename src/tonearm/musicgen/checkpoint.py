"""Loading of MusicGen checkpoints: pocket, a hub id, or a local folder."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any

import torch
import transformers

from tonearm import assets, boundary
from tonearm.backend import ModelShape, Site
from tonearm.errors import TonearmError
from tonearm.fingerprint import TOKENIZER_FILES, fingerprint
from tonearm.loading import (
    NO_CODE,
    REPORTED,
    check_code,
    check_json,
    check_pretrained,
    loading_errors,
    may_be_hub_id,
)
from tonearm.musicgen.delay import lags
from tonearm.musicgen.sampling import Sampling, check_sampling
from tonearm.musicgen.variants import POCKET, VARIANTS
from tonearm.steering.library import bundled_vectors
from tonearm.text import check_path, quoted, warn_of_namesake

VOCABULARY_FILES = ("tokenizer.json", "spiece.model")
TOKENIZER_JSON = tuple(name for name in TOKENIZER_FILES if name.endswith(".json"))
GENERATION_CONFIG = "generation_config.json"
JSON_FILES = ("config.json", GENERATION_CONFIG, *TOKENIZER_JSON, "model.safetensors.index.json")
MODEL_FILES = "config.json or weights"
# Beside the weights, they decide a take.
DECIDING_FILES = ("config.json", GENERATION_CONFIG, *TOKENIZER_FILES)
AGAIN = "copy or save the checkpoint again"
WHOLE = "save the whole model, decoder, text encoder and codec, with `save_pretrained`"
LISTED = "`tonearm models` lists what can be loaded"
SMALLER = "choose another device, or a smaller dtype"
CODELESS = "give a checkpoint that transformers loads without trust_remote_code"
LONGEST_WINDOW_SECONDS = 30.0  # MusicGen was trained on 30-s clips


@dataclass(frozen=True)
class Family:
    """Differences between the two transformers classes."""

    model_class: str
    text_in_prefix: bool
    sites: tuple[Site, ...]
    default_pooling: str


FAMILIES = {
    "musicgen": Family(
        "MusicgenForConditionalGeneration",
        text_in_prefix=False,
        sites=("residual", "attention", "cross_attention", "heads"),
        default_pooling="mean",
    ),
    "musicgen_melody": Family(
        "MusicgenMelodyForConditionalGeneration",
        text_in_prefix=True,
        sites=("residual", "attention", "heads"),
        default_pooling="eos",
    ),
}


@dataclass
class Checkpoint:
    """A loaded checkpoint: its numbers, modules and tokenizer.

    shape     the numbers
    model     transformers model: text encoder, projections, codec, and the decoder until it is consumed
    source    absolute folder or hub id that it was loaded from
    int8      the decoder multiplies by weights rounded to int8; `model` itself holds them unrounded
    lock      held while the model or the tokenizer is changed or hooked
    consumed  the decoder's weights were moved into a packed decoder (musicgen/decoder.py)
    warned    words that the tokenizer does not know, of which a warning was given
    """

    shape: ModelShape
    model: Any
    tokenizer: Any
    source: str
    int8: bool = False
    lock: Any = field(default_factory=RLock, compare=False, repr=False)
    consumed: bool = False
    warned: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the decoder and of the projections into it."""
        return self.model.decoder.dtype

    @property
    def precision(self) -> str:
        """Precision of the decoder's products: one of PRECISIONS."""
        return INT8 if self.int8 else str(self.dtype).removeprefix("torch.")

    @property
    def decoder(self) -> Any:
        """The transformers decoder. Raises TonearmError if its weights were consumed."""
        self.check_whole()
        return self.model.decoder

    def check_whole(self) -> None:
        """Raise TonearmError if the decoder's weights were consumed."""
        if self.consumed:
            raise TonearmError(
                f"the decoder weights of {self.shape.name} were moved into the packed decoder; "
                "load the checkpoint again with load_checkpoint"
            )

    @property
    def layers(self) -> torch.nn.ModuleList:
        """Decoder blocks of the transformers model; index = layer."""
        return self.decoder.model.decoder.layers

    @property
    def bos(self) -> int:
        return self.model.generation_config.decoder_start_token_id

    @property
    def sampling(self) -> Sampling:
        """Sampling by the checkpoint's own defaults."""
        return Sampling(guidance=self.shape.guidance, temperature=self.shape.temperature)

    def reload(self) -> "Checkpoint":
        """Load the same weights again, for another engine.

        Raises:
            TonearmError: the files are gone, or hold other weights now.
        """
        again = load_checkpoint(self.shape.name, str(self.device), self.precision, self.source)
        if again.shape.fingerprint != self.shape.fingerprint:
            raise TonearmError(
                f"{self.shape.name} holds other weights now ({again.shape.fingerprint}, "
                f"{self.shape.fingerprint} when it was loaded); load it again"
            )
        return again


def load_checkpoint(
    name: str = POCKET,
    device: str | None = None,
    dtype: str | None = None,
    source: str | None = None,
) -> Checkpoint:
    """Load `pocket`, a hub id, or a folder with a MusicGen checkpoint in transformers' format.

    Args:
        name: checkpoint.
        device: "cpu", "cuda", "cuda:1", "mps"; default: the best available.
        dtype: of the decoder: "float32", "bfloat16", "float16", or "int8" (CPU and engine decoder
            only; its cost in quality is in docs/performance.md); default: float32 on CPU and MPS,
            bfloat16 on CUDA. Text encoder and codec are always in float32.
        source: folder to read, if it is not the one that `name` gives.

    Raises:
        TonearmError: no such checkpoint, a folder that is not MusicGen, a device or dtype that is
            not available, missing or foreign tensors, or code in the folder.
    """
    chosen_device = _device(device)
    chosen_dtype = _dtype(dtype, chosen_device)
    check_path(name, "checkpoint")
    if not source and name == POCKET and (Path(POCKET) / "config.json").is_file():
        warn_of_namesake(POCKET, "bundled checkpoint", Path(POCKET))
    folder = Path(source) if source else assets.POCKET if name == POCKET else Path(name)
    path = str(folder.absolute()) if folder.is_dir() else name
    if not folder.is_dir() and not may_be_hub_id(name):
        raise TonearmError(
            f"no checkpoint {name!r}; give {POCKET}, a folder, or a hub id such as "
            "facebook/musicgen-melody (`tonearm models`)"
        )
    check_json(name, path, JSON_FILES, AGAIN)
    with loading_errors(f"checkpoint {name!r}: {MODEL_FILES}", LISTED):
        model = _read_model(name, path)
    with loading_errors(f"checkpoint {name!r}: {' or '.join(TOKENIZER_JSON[:2])}", LISTED):
        tokenizer = _read_tokenizer(name, path, model)
    _complete_generation_config(name, model)
    with loading_errors(f"checkpoint {name!r}: {MODEL_FILES}", LISTED):
        shape = shape_of(model, name, fingerprint(path, DECIDING_FILES))
    with loading_errors(f"checkpoint {name!r} onto {chosen_device}", SMALLER):
        for part, module in model.named_children():
            module.to(chosen_device, torch.float32 if part in EXACT_PARTS else chosen_dtype)
    model.eval().requires_grad_(False)
    model.decoder.set_attn_implementation("sdpa")
    return Checkpoint(shape, model, tokenizer, path, int8=dtype == INT8)


def _read_model(name: str, path: str) -> Any:
    """Read the model in the stored dtype and compare its tensors with the files."""
    model_type = transformers.AutoConfig.from_pretrained(path, **NO_CODE).model_type
    family = FAMILIES.get(model_type)
    if family is None:
        raise TonearmError(
            f"{name} is a {model_type} checkpoint, not MusicGen; "
            f"Tonearm loads {' and '.join(FAMILIES)}"
        )
    folder = Path(path)
    if folder.is_dir() and not any((folder / file).is_file() for file in VOCABULARY_FILES):
        # transformers would make an empty tokenizer, for which all prompts are equal
        raise TonearmError(
            f"{name} has no tokenizer ({' or '.join(VOCABULARY_FILES)}); "
            "save the tokenizer beside the weights"
        )
    check_code(name, transformers.PreTrainedConfig.get_config_dict(path)[0], CODELESS)
    model_class = getattr(transformers, family.model_class)
    model, info = model_class.from_pretrained(path, dtype="auto", **REPORTED, **NO_CODE)
    check_pretrained(name, path, model, info, f"check config.json, and {WHOLE}")
    return model


def _read_tokenizer(name: str, path: str, model: Any) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, **NO_CODE)
    check_code(name, tokenizer.init_kwargs, CODELESS)
    if tokenizer.model_max_length < 1:
        raise ValueError(f"model_max_length {tokenizer.model_max_length} leaves no room for text")
    highest, size = max(tokenizer.get_vocab().values()), model.config.text_encoder.vocab_size
    if highest >= size:
        raise ValueError(f"token {highest} is beyond the text encoder's {size} tokens")
    tokenizer(["a", "a b"], padding=True, return_tensors="pt")  # raises if it cannot pad
    return tokenizer


def _complete_generation_config(name: str, model: Any) -> None:
    """Check the fields of a generation config and fill in the token that begins every codebook.

    `generate()` takes `bos_token_id` where there is no `decoder_start_token_id`; without a
    generation_config.json the decoder's own configuration has it.

    Raises:
        TonearmError: a field of a wrong type or value.
    """
    config, decoder = model.generation_config, model.config.decoder
    where = f"in {GENERATION_CONFIG} of {name}"
    tokens = (config.decoder_start_token_id, config.bos_token_id, decoder.bos_token_id)
    start = next((token for token in tokens if token is not None), None)
    if not isinstance(start, int) or not 0 <= start <= decoder.vocab_size:
        raise TonearmError(
            f"decoder_start_token_id {quoted(start)} {where} is not possible; "
            f"use {decoder.vocab_size}, or another token from 0 to {decoder.vocab_size}"
        )
    config.decoder_start_token_id = start
    if config.pad_token_id is None:
        config.pad_token_id = start
    for key in ("guidance_scale", "temperature"):
        boundary.optional(boundary.number, getattr(config, key), f"{key} {where}")
    boundary.optional(boundary.integer, config.max_length, f"max_length {where}")
    try:
        check_sampling(Sampling().overridden(config.guidance_scale, config.temperature))
    except TonearmError as error:
        raise TonearmError(f"{GENERATION_CONFIG} of {name}: {error}") from None


def shape_of(model: Any, name: str, weights: str) -> ModelShape:
    """Numbers of a transformers MusicGen model.

    Args:
        model: the model, with its configuration.
        name: as the user gave it; released names have entries in the table of variants.
        weights: fingerprint of the weights and settings.
    """
    family = FAMILIES[model.config.model_type]
    decoder, codec = model.decoder.config, model.audio_encoder.config
    if decoder.num_attention_heads < 1:
        raise ValueError(f"num_attention_heads {decoder.num_attention_heads} is not possible")
    generation, known = model.generation_config, VARIANTS.get(name)
    own = Sampling().overridden(generation.guidance_scale, generation.temperature)
    chroma = model.config.chroma_length if family.text_in_prefix else 0
    return ModelShape(
        name=name,
        fingerprint=weights,
        licence=known.licence if known else "unknown (see the checkpoint's own card)",
        layer_count=decoder.num_hidden_layers,
        width=decoder.hidden_size,
        heads=decoder.num_attention_heads,
        ffn_width=decoder.ffn_dim,
        sites=family.sites,
        codebooks=decoder.num_codebooks,
        codebook_size=decoder.vocab_size,
        channels=decoder.audio_channels,
        sample_rate=codec.sampling_rate,
        frame_rate=codec.frame_rate,
        delay_frames=lags(decoder.num_codebooks, decoder.audio_channels)[-1],
        window_seconds=known.window_seconds if known else _window_seconds(model),
        text_in_prefix=family.text_in_prefix,
        prefix_positions=chroma,
        default_pooling=family.default_pooling,
        melody_trained=known.melody if known else chroma > 1,
        guidance=own.guidance,
        temperature=own.temperature,
        vectors=bundled_vectors() if name == POCKET else {},
    )


def _window_seconds(model: Any) -> float:
    """Window of a checkpoint that is in no table: that of its generation config in whole seconds,
    30 s at most.
    """
    rate = model.audio_encoder.config.frame_rate
    positions = (model.decoder.config.max_position_embeddings - 512) / rate
    longest, configured = min(LONGEST_WINDOW_SECONDS, positions), model.generation_config.max_length
    if configured is None or configured < rate:
        return longest
    return min(longest, float(configured // rate))


def _device(device: str | None) -> torch.device:
    if device is None:
        return torch.device(
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    kind = device.split(":")[0]
    usable = [name for name, is_there in there.items() if is_there]
    if not there.get(kind):
        raise TonearmError(
            f"device {device!r} is not available; this machine has {', '.join(usable)}"
        )
    try:
        found = torch.device(device)
    except RuntimeError:
        raise TonearmError(
            f"device {device!r} is not understood; this machine has {', '.join(usable)}"
        ) from None
    if kind == "cuda" and (found.index or 0) >= (count := torch.cuda.device_count()):
        raise TonearmError(
            f"device {device!r} is not available; this machine has cuda:0 to cuda:{count - 1}"
        )
    return found


# Run once per take, so that a smaller dtype saves nothing there: bfloat16 in the codec leaves a
# signal-to-noise ratio of 43 dB and changes 7.5 % of an audio prompt's codes (pocket).
EXACT_PARTS = ("text_encoder", "audio_encoder")
INT8 = "int8"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = (*DTYPES, INT8)


def _dtype(dtype: str | None, device: torch.device) -> torch.dtype:
    """Dtype to load in; the decoder rounds int8 from float32."""
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in PRECISIONS:
        raise TonearmError(f"dtype {dtype!r} is not known; use one of {', '.join(PRECISIONS)}")
    if dtype == INT8 and device.type != "cpu":
        raise TonearmError(
            f"dtype int8 is for the CPU, not for {device.type}; use device cpu, or dtype bfloat16"
        )
    return DTYPES.get(dtype, torch.float32)
