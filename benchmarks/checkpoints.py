"""Checkpoints to measure: pocket, and random weights of the released shapes.

The random ones have a small text encoder, which runs once per prompt.
"""

import dataclasses

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

from tonearm.musicgen.checkpoint import EXACT_PARTS, Checkpoint, load_checkpoint, shape_of
from tonearm.musicgen.variants import POCKET

# family, decoder width, layers, heads (Copet et al. 2023; the released configurations)
SHAPES = {
    "musicgen-small": ("musicgen", 1024, 24, 16),
    "musicgen-medium": ("musicgen", 1536, 48, 24),
    "musicgen-melody": ("musicgen_melody", 1536, 48, 24),
}
CODEBOOK = 2048
WORDS = ("a", "folk", "tune", "with", "flute", "number")  # of the prompts; others are unknown


def checkpoint(
    name: str,
    dtype: str = "float32",
    device: torch.device = torch.device("cpu"),
    codec_filters: int = 8,
) -> Checkpoint:
    """Load pocket, or build random weights of a released shape.

    Args:
        name: pocket, or one of SHAPES.
        dtype: of the decoder.
        device: of the weights.
        codec_filters: of the random codec; 64 in the released one.
    """
    if name == POCKET:
        return load_checkpoint(POCKET, str(device), dtype)
    family, width, layers, heads = SHAPES[name]
    text = T5Config(
        vocab_size=64, d_model=768, d_kv=64, d_ff=768, num_layers=1, num_heads=12, pad_token_id=0
    )
    codec = EncodecConfig(
        target_bandwidths=[2.2],
        sampling_rate=32_000,
        audio_channels=1,
        normalize=False,
        chunk_length_s=None,
        num_filters=codec_filters,
        upsampling_ratios=[8, 5, 4, 4],
        codebook_size=CODEBOOK,
        use_causal_conv=False,
    )
    sizes = dict(
        vocab_size=CODEBOOK,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        ffn_dim=4 * width,
        num_codebooks=4,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        layerdrop=0.0,
        pad_token_id=CODEBOOK,
        bos_token_id=CODEBOOK,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    parts = dict(text_encoder=text.to_dict(), audio_encoder=codec.to_dict())
    if family == "musicgen":
        model = MusicgenForConditionalGeneration(
            MusicgenConfig(**parts, decoder=MusicgenDecoderConfig(**sizes).to_dict())
        )
    else:
        decoder = MusicgenMelodyDecoderConfig(**sizes).to_dict()
        model = MusicgenMelodyForConditionalGeneration(
            MusicgenMelodyConfig(**parts, decoder=decoder)
        )
    generation = model.generation_config
    generation.decoder_start_token_id = generation.pad_token_id = generation.bos_token_id = CODEBOOK
    for part, module in model.named_children():
        module.to(device, torch.float32 if part in EXACT_PARTS else getattr(torch, dtype))
    model = model.eval().requires_grad_(False)
    model.decoder.set_attn_implementation("sdpa")
    shape = dataclasses.replace(
        shape_of(model, f"random {name}", name),
        licence="none",
        window_seconds=30.0,
        melody_trained=False,
    )
    return Checkpoint(shape, model, _tokenizer(), source=name)


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(("<pad>", "</s>", "<unk>", *WORDS))}
    raw = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
