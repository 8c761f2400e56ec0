"""Captions of many forms from labels, and the word tokenizer."""

from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from recipes.pocket import vocabulary
from tonearm.datasets.rendering.compose import BPM_NUMBERS, bpm_numbers_for

PAD, EOS, UNKNOWN = "<pad>", "</s>", "<unk>"
SOUND_OF_GENRE = {
    "folk": "acoustic",
    "classical": "acoustic",
    "jazz": "acoustic",
    "electronic": "electronic",
}
TAGS_SHARE = 0.15  # of the captions are lists of words
UNKNOWN_SHARE = 0.03  # of the words, so that unknown words change little


def build_tokenizer(text_tokens: int, out: Path | None = None) -> PreTrainedTokenizerFast:
    """Build the word tokenizer.

    Lower-case words, whole numbers as tokens, EOS at the end, left padding.

    Args:
        text_tokens: length to pad to.
        out: folder to save it in, if given.

    Returns:
        The tokenizer.
    """
    # "120" is one token, never "1" "2" "0"
    entries = [PAD, EOS, UNKNOWN, *vocabulary.vocabulary(), *map(str, BPM_NUMBERS)]
    tokenizer = Tokenizer(
        WordLevel({word: i for i, word in enumerate(dict.fromkeys(entries))}, unk_token=UNKNOWN)
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[,.!?;:\"()]"), "isolated"), pre_tokenizers.WhitespaceSplit()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", special_tokens=[(EOS, 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="left",
        model_max_length=text_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )
    if out is not None:
        fast.save_pretrained(out)
    return fast


def caption(labels: dict, rng: np.random.Generator) -> str:
    """Write one caption of a piece.

    Labels are left out at random, so that shorter prompts occur in training.
    """

    def pick(table: dict[str, list[str]], key: str) -> str:
        return str(rng.choice(table[key]))

    adjectives, tail = [], []
    tempo = rng.random()
    if tempo < 0.6:
        adjectives.append(pick(vocabulary.TEMPO, labels["tempo"]))
    if 0.4 < tempo < 0.9:
        bpm = int(rng.choice(bpm_numbers_for(labels["beat_frames"])))
        tail.append(str(rng.choice([f"at {bpm} bpm", f"{bpm} bpm", f"at {bpm} beats per minute"])))
    if labels["brightness"] != "neutral" and rng.random() < 0.8:
        adjectives.append(pick(vocabulary.BRIGHTNESS, labels["brightness"]))
        if rng.random() < 0.3:
            adjectives.append(pick(vocabulary.BRIGHTNESS, labels["brightness"]))
    energy = {("dense", "loud"): "energetic", ("sparse", "soft"): "calm"}.get(
        (labels["density"], labels["dynamics"])
    )
    if energy and rng.random() < 0.5:
        adjectives.append(pick(vocabulary.ENERGY, energy))
    else:
        if labels["density"] != "normal" and rng.random() < 0.5:
            adjectives.append(pick(vocabulary.DENSITY, labels["density"]))
        if labels["dynamics"] != "normal" and rng.random() < 0.6:
            adjectives.append(pick(vocabulary.DYNAMICS, labels["dynamics"]))
    sound = SOUND_OF_GENRE.get(labels["genre"])
    if (
        sound
        and (sound == "acoustic") == (labels["lead"] not in ("synth", "organ"))
        and rng.random() < 0.25
    ):
        adjectives.append(pick(vocabulary.SOUND, sound))
    mode = pick(vocabulary.MODE, labels["mode"]) if rng.random() < 0.4 else ""
    if mode and not mode.startswith("in "):
        adjectives.append(mode)
    elif mode:
        tail.append(mode)
    rng.shuffle(adjectives)

    genre = pick(vocabulary.GENRE, labels["genre"]) if rng.random() < 0.9 else ""
    lead = pick(vocabulary.LEAD, labels["lead"]) if rng.random() < 0.85 else ""
    if rng.random() < TAGS_SHARE:
        tags = [tag for tag in (*adjectives, genre, lead, *tail) if tag]
        rng.shuffle(tags)
        return _with_unknown_words((", " if rng.random() < 0.7 else " ").join(tags), rng)
    form = str(rng.choice(vocabulary.FORM))
    head = [*adjectives[: rng.integers(1, 5)], genre]
    late = [a for a in adjectives if a not in head]
    if lead and rng.random() < 0.25:
        head.append(lead)
    elif lead:
        tail.insert(0, str(rng.choice(["with", "featuring", "led by", "for"])) + " " + lead)
    text = " ".join(word for word in (*head, form) if word)
    article = rng.random()
    if article < 0.6:
        text = ("an " if text[0] in "aeiou" else "a ") + text
    if rng.random() < 0.2:
        tail.append(str(rng.choice(vocabulary.FILLER)))
    if late:
        tail.append(" and ".join(late))
    for part in tail:
        text += (", " if rng.random() < 0.3 else " ") + part
    return _with_unknown_words(text, rng)


def _with_unknown_words(text: str, rng: np.random.Generator) -> str:
    return " ".join(UNKNOWN if rng.random() < UNKNOWN_SHARE else word for word in text.split())
