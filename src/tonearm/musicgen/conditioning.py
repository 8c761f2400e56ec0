"""Text, melody and audio prompt -> the tensors that condition decoding, null rows for guidance included.

Rows are [conditional..., unconditional...], not interleaved. Prefix checkpoints put [chroma][text] before the codes; the others
read the text by cross-attention. What is built here is handed to `generate()`, so that negative prompts and mixed batches work on
both families; with plain prompts it equals what `generate()` builds itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint

MIN_MELODY_SECONDS = 0.5
SILENCE = 1e-5
MAX_FIXED_ROOM = 64  # tokens; beyond it, a tokenizer's model_max_length is a limit and not a room
CHROMA_FFT, CHROMA_HOP, CHROMA_RATE = 16_384, 4_096, 32_000  # of the released melody checkpoints


@dataclass(frozen=True)
class Conditioning:
    """States [R, P, D] and their mask [R, P], R = B rows without guidance or 2 B with it; `prefix` counts the positions
    that stand before the codes (0 for cross-attention checkpoints). `text_ids`, `text_mask` [B, N] are the tokenised prompts."""

    states: torch.Tensor
    mask: torch.Tensor
    text_ids: torch.Tensor
    text_mask: torch.Tensor
    rows: int
    guided: bool
    prefix: int

    @property
    def eos_positions(self) -> torch.Tensor:
        """Position of the text's EOS within the prefix, [B]: the last one whose mask is 1, whichever side is padded."""
        last = self.text_mask.shape[1] - 1 - self.text_mask.flip(1).argmax(1)
        return self.prefix - self.text_mask.shape[1] + last


def condition(
    checkpoint: Checkpoint,
    prompts: Sequence[str],
    *,
    guided: bool,
    negatives: Sequence[str | None] | None = None,
    melody: Clip | None = None,
    text_tokens: int | None = None,
) -> Conditioning:
    """Encode prompts (and what to steer away from, where guidance is on). `text_tokens` pads the text to that many tokens."""
    if melody is not None:
        check_melody(checkpoint, melody)
    tokens = tokenise(checkpoint, [*prompts, *(n or "" for n in negatives or ())], text_tokens)
    rows = len(prompts)
    states = _encode_text(checkpoint, tokens.ids, tokens.mask)
    conditional, mask = states[:rows], tokens.mask[:rows]
    if guided:
        null, null_mask = torch.zeros_like(conditional), torch.zeros_like(mask)
        if negatives is not None:
            given = torch.tensor([bool(n) for n in negatives], device=states.device)[:, None]
            null = torch.where(given[..., None], states[rows:], null)
            null_mask = torch.where(given, tokens.mask[rows:], null_mask)
        states, mask = torch.cat([conditional, null]), torch.cat([mask, null_mask])
    else:
        states = conditional
    prefix = 0
    if checkpoint.family.text_in_prefix:
        chroma = _chroma_states(checkpoint, rows, guided, melody)
        states = torch.cat([chroma, states], dim=1)
        prefix = states.shape[1]
    return Conditioning(states, mask, tokens.ids[:rows], tokens.mask[:rows], rows, guided, prefix)


@dataclass(frozen=True)
class Tokens:
    ids: torch.Tensor
    mask: torch.Tensor


def text_room(checkpoint: Checkpoint, prompt: str, negative: str | None = None) -> int:
    """Tokens of text that a row needs where padding would be read: prefix checkpoints. 0 where the text is masked.

    Raises TonearmError for a text that does not fit the room that the checkpoint gives it.
    """
    longest = count_tokens(checkpoint, prompt, negative)
    fixed = _fixed_room(checkpoint)
    if fixed and longest > fixed:
        raise TonearmError(
            f"the text takes {longest} tokens, {checkpoint.name} reads {fixed}; shorten it: {prompt[:40]!r} ..."
        )
    return (fixed or longest) if checkpoint.family.text_in_prefix else 0


def count_tokens(checkpoint: Checkpoint, *texts: str | None) -> int:
    """Tokens of the longest text."""
    with checkpoint.lock:
        return max(len(checkpoint.tokenizer(text or "").input_ids) for text in texts)


def _fixed_room(checkpoint: Checkpoint) -> int | None:
    """pocket's text always takes the same room, as in its training."""
    length = checkpoint.tokenizer.model_max_length
    return length if length <= MAX_FIXED_ROOM else None


def tokenise(checkpoint: Checkpoint, texts: Sequence[str], text_tokens: int | None = None) -> Tokens:
    """int64 [N, tokens], padded to `text_tokens`, or to the checkpoint's fixed room, or to the longest."""
    fixed = text_tokens or _fixed_room(checkpoint)
    with checkpoint.lock:  # a call sets padding and truncation on the tokenizer itself
        encoded = checkpoint.tokenizer(
            list(texts), return_tensors="pt", padding="max_length" if fixed else True, max_length=fixed, truncation=True
        )
    return Tokens(encoded.input_ids.to(checkpoint.device), encoded.attention_mask.to(checkpoint.device))


@torch.no_grad()
def _encode_text(checkpoint: Checkpoint, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    model = checkpoint.model
    states = model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    if checkpoint.family.text_in_prefix:
        if model.text_encoder.config.hidden_size != model.decoder.config.hidden_size:
            states = model.enc_to_dec_proj(states)
        states = states * mask[..., None]
    return states


@torch.no_grad()
def _chroma_states(checkpoint: Checkpoint, rows: int, guided: bool, melody: Clip | None) -> torch.Tensor:
    """[R, chroma_length, D]; without a melody the null chroma, which is pitch class 0 throughout."""
    model, length = checkpoint.model, checkpoint.model.config.chroma_length
    null = torch.zeros(rows, 1, model.config.num_chroma, device=checkpoint.device, dtype=checkpoint.dtype)
    null[:, :, 0] = 1
    chroma = null
    if melody is not None:
        chroma = chromagram(melody, model.config.num_chroma).to(null)[None].expand(rows, -1, -1)
        null = null.expand(-1, chroma.shape[1], -1)
    if guided:
        chroma = torch.cat([chroma, null])
    if model.config.num_chroma != model.decoder.config.hidden_size:
        chroma = model.audio_enc_to_dec_proj(chroma)
    repeats = -(-length // chroma.shape[1])
    return chroma.repeat(1, repeats, 1)[:, :length]


def check_melody(checkpoint: Checkpoint, melody: Clip) -> None:
    """Raise TonearmError where the checkpoint takes no melody, or the melody is too short or silent."""
    if not checkpoint.family.text_in_prefix:
        raise TonearmError(
            f"{checkpoint.name} takes no melody; use a melody checkpoint such as facebook/musicgen-melody"
        )
    if not checkpoint.melody_trained:
        raise TonearmError(
            f"{checkpoint.name} was not trained to follow a melody; use facebook/musicgen-melody or leave the melody out"
        )
    check_sounding(melody, "the melody", MIN_MELODY_SECONDS)


def chromagram(melody: Clip, num_chroma: int = 12) -> torch.Tensor:
    """One-hot strongest pitch class per window, float32 [frames, 12]: the melody checkpoints' own features.

    The same as transformers' MusicgenMelodyFeatureExtractor, which needs torchaudio (Copet et al. 2023, 3.2).
    """
    from transformers.audio_utils import chroma_filter_bank

    wave = torch.from_numpy(melody.resampled(CHROMA_RATE).mono)
    if len(wave) < CHROMA_FFT:
        missing = CHROMA_FFT - len(wave)
        wave = torch.nn.functional.pad(wave, (missing // 2, missing - missing // 2))
    window = torch.hann_window(CHROMA_FFT)
    power = (
        torch.stft(wave, CHROMA_FFT, CHROMA_HOP, window=window, return_complex=True).abs().pow(2) / window.pow(2).sum()
    )
    filters = torch.from_numpy(
        chroma_filter_bank(sampling_rate=CHROMA_RATE, num_frequency_bins=CHROMA_FFT, tuning=0, num_chroma=num_chroma)
    ).float()
    return torch.nn.functional.one_hot((filters @ power).T.argmax(-1), num_chroma).float()


@torch.no_grad()
def encode_audio(checkpoint: Checkpoint, clip: Clip) -> torch.Tensor:
    """The codes of an audio prompt, int64 [K, T]; stereo checkpoints alternate left and right books."""
    check_sounding(clip, "the audio prompt", 1 / checkpoint.frame_rate)
    codec = checkpoint.model.audio_encoder
    clip = clip.resampled(checkpoint.sample_rate)
    if checkpoint.channels == 1:
        samples = torch.from_numpy(clip.mono)[None, None]
    else:
        left_right = clip.samples if clip.samples.shape[0] == 2 else clip.mono[None].repeat(2, axis=0)
        samples = torch.from_numpy(left_right)[:, None]
    samples = samples.to(checkpoint.device, codec.dtype)
    books = checkpoint.codebooks // checkpoint.channels
    bandwidth = next(b for b in sorted(codec.config.target_bandwidths) if _books(codec, b) >= books)
    codes = codec.encode(samples, bandwidth=bandwidth).audio_codes[0][:, :books]  # [channels, K / channels, T]
    return codes.transpose(0, 1).reshape(checkpoint.codebooks, -1)


def _books(codec: Any, bandwidth: float) -> int:
    return codec.quantizer.get_num_quantizers_for_bandwidth(bandwidth)


@torch.no_grad()
def decode_codes(checkpoint: Checkpoint, codes: torch.Tensor) -> Clip:
    """Codes [K, T] -> audio."""
    codec = checkpoint.model.audio_encoder
    codes = codes.to(checkpoint.device)
    channels = [codes] if checkpoint.channels == 1 else [codes[::2], codes[1::2]]
    # Through the class: the reference engine replaces `decode` on the instance while it runs, perhaps in another thread.
    samples = [type(codec).decode(codec, part[None, None], [None]).audio_values[0, 0] for part in channels]
    return Clip(torch.stack(samples).float().cpu().numpy(), checkpoint.sample_rate)


def check_sounding(clip: Clip, what: str, min_seconds: float) -> None:
    if clip.seconds < min_seconds:
        raise TonearmError(f"{what} is {clip.seconds:.2f} s long; give at least {min_seconds:g} s")
    if not np.isfinite(clip.samples).all():
        raise TonearmError(f"{what} holds NaN or infinite samples; give audio without them")
    if abs(clip.samples).max() < SILENCE:
        raise TonearmError(f"{what} is silent; give audio with sound in it")
