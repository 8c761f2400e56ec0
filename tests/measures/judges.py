"""Random CLAP checkpoints: a tiny one, and one of the shape of laion/clap-htsat-unfused, with feature extractor and tokenizer."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
    ClapTextConfig,
    PreTrainedTokenizerFast,
)

WORDS = ("this", "is", "a", "sound", "of", "jazz", "rock", "folk", "flute", "piano", "fast", "slow")
TINY_RATE = 8_000
TINY_SECONDS = 2


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *WORDS])}
    raw = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=32,
    )


def save_tiny(folder: Path, seed: int = 0) -> Path:
    text = ClapTextConfig(
        vocab_size=4 + len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=34, projection_dim=12, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    audio = ClapAudioConfig(
        window_size=4, num_mel_bins=32, spec_size=64, patch_size=4, patch_stride=[4, 4], patch_embeds_hidden_size=8,
        depths=[1, 1], num_attention_heads=[1, 2], num_hidden_layers=2, hidden_size=16, projection_dim=12, enable_fusion=False,
    )  # fmt: skip
    features = ClapFeatureExtractor(
        feature_size=32, sampling_rate=TINY_RATE, hop_length=160, max_length_s=TINY_SECONDS, fft_window_size=256, frequency_max=4000,
        truncation="rand_trunc", padding="repeatpad",
    )  # fmt: skip
    return _save(
        ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=12), features, folder, seed
    )


def save_real_shape(folder: Path, seed: int = 0) -> Path:
    """The configuration of laion/clap-htsat-unfused: 153 M weights, 48 kHz, 10 s."""
    text = ClapTextConfig()
    audio = ClapAudioConfig(
        patch_embeds_hidden_size=96,
        depths=[2, 2, 6, 2],
        num_attention_heads=[4, 8, 16, 32],
        hidden_size=768,
        enable_fusion=False,
    )
    features = ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc", padding="repeatpad")
    return _save(
        ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=512), features, folder, seed
    )


def _save(config: ClapConfig, features: ClapFeatureExtractor, folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    ClapModel(config).half().save_pretrained(folder)
    ClapProcessor(features, tokenizer()).save_pretrained(folder)
    return folder
