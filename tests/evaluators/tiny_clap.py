"""CLAP checkpoints with random weights: a tiny one, and one of laion/clap-htsat-unfused's shape.

Both have a feature extractor and a tokenizer.
"""

import json
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer, pre_tokenizers, processors
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
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
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
        vocab_size=4 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
        projection_dim=12,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    audio = ClapAudioConfig(
        window_size=4,
        num_mel_bins=32,
        spec_size=64,
        patch_size=4,
        patch_stride=[4, 4],
        patch_embeds_hidden_size=8,
        depths=[1, 1],
        num_attention_heads=[1, 2],
        num_hidden_layers=2,
        hidden_size=16,
        projection_dim=12,
        enable_fusion=False,
    )
    features = ClapFeatureExtractor(
        feature_size=32,
        sampling_rate=TINY_RATE,
        hop_length=160,
        max_length_s=TINY_SECONDS,
        fft_window_size=256,
        frequency_max=4000,
        truncation="rand_trunc",
        padding="repeatpad",
    )
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=12)
    torch.manual_seed(seed)
    model = ClapModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:  # large enough for rows to depend on the input
                parameter.normal_(std=2 * parameter.shape[-1] ** -0.5)
    model.half().save_pretrained(folder)
    ClapProcessor(features, tokenizer()).save_pretrained(folder)
    return folder


def save_real_shape(folder: Path, seed: int = 0) -> Path:
    """Save a checkpoint of the published configuration: 153 M weights, 48 kHz, 10 s."""
    audio = ClapAudioConfig(
        patch_embeds_hidden_size=96,
        depths=[2, 2, 6, 2],
        num_attention_heads=[4, 8, 16, 32],
        hidden_size=768,
        enable_fusion=False,
    )
    config = ClapConfig(
        text_config=ClapTextConfig().to_dict(), audio_config=audio.to_dict(), projection_dim=512
    )
    torch.manual_seed(seed)
    ClapModel(config).half().save_pretrained(folder)
    ClapFeatureExtractor(
        frequency_min=50, truncation="rand_trunc", padding="repeatpad"
    ).save_pretrained(folder)
    words = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words.train_from_iterator(
        [" ".join(WORDS)], vocab_size=400, special_tokens=special, show_progress=False
    )
    words.save_model(str(folder))
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
