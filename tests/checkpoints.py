"""Tiny random checkpoints of every variant, saved in transformers' form for the loading code."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    MusicgenMelodyConfig,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
)

WORDS = [
    "a",
    "an",
    "the",
    "fast",
    "slow",
    "bright",
    "dark",
    "folk",
    "jazz",
    "tune",
    "piece",
    "with",
    "flute",
    "piano",
    "quick",
    "calm",
    "loud",
    "soft",
    "of",
    "and",
]
CODEBOOK = 64
FRAME_RATE = 25


@dataclass(frozen=True)
class Shape:
    family: str
    channels: int
    layers: int = 3
    width: int = 32


# Covers all differences between the released checkpoints.
VARIANTS = {
    "small": Shape("musicgen", 1),
    "medium": Shape("musicgen", 1, layers=4),
    "large": Shape("musicgen", 1, layers=5),
    "melody": Shape("musicgen_melody", 1),
    "melody-large": Shape("musicgen_melody", 1, layers=4),
    "stereo-small": Shape("musicgen", 2),
    "stereo-melody": Shape("musicgen_melody", 2),
}


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    raw = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def save(shape: Shape, folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    words = tokenizer()
    text = T5Config(
        vocab_size=len(words),
        d_model=24,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    codec = EncodecConfig(
        target_bandwidths=[1.0],
        sampling_rate=1600,
        audio_channels=1,
        normalize=False,
        chunk_length_s=None,
        hidden_size=16,
        codebook_dim=16,
        codebook_size=CODEBOOK,
        num_filters=4,
        upsampling_ratios=[8, 8],
        num_lstm_layers=1,
        use_causal_conv=False,
    )
    shared = dict(
        vocab_size=CODEBOOK,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=4,
        ffn_dim=64,
        num_codebooks=4 * shape.channels,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        layerdrop=0.0,
        pad_token_id=CODEBOOK,
        bos_token_id=CODEBOOK,
        eos_token_id=None,
        audio_channels=shape.channels,
        initializer_factor=1.0,
    )
    if shape.family == "musicgen":
        decoder = MusicgenDecoderConfig(**shared)
        config = MusicgenConfig(
            text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict()
        )
        model = MusicgenForConditionalGeneration(config)
    else:
        decoder = MusicgenMelodyDecoderConfig(**shared)
        config = MusicgenMelodyConfig(
            text_encoder=text.to_dict(),
            audio_encoder=codec.to_dict(),
            decoder=decoder.to_dict(),
            num_chroma=12,
            chroma_length=7,
        )
        model = MusicgenMelodyForConditionalGeneration(config)
    with (
        torch.no_grad()
    ):  # weights large enough for prompts and directions to matter, codebooks that are not all zero
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.25)
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.normal_()
    generation = model.generation_config
    generation.decoder_start_token_id = generation.pad_token_id = generation.bos_token_id = CODEBOOK
    generation.do_sample, generation.guidance_scale, generation.max_length = (
        True,
        3.0,
        30 * FRAME_RATE,
    )
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
