"""Captions from labels, and the word tokenizer of the CLAP model.

A caption carries the labels it names.

The vocabulary is pocket's, restricted to labels that do not depend on the level. A caption names
one to five labels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from recipes.pocket import vocabulary

PAD, BOS, EOS, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
TEXT_TOKENS = 64
MAX_POSITIONS = 514  # as in the published checkpoints; callers truncate longer texts

ATTRIBUTES: dict[str, dict[str, list[str]]] = {
    "genre": vocabulary.GENRE,
    "lead": vocabulary.LEAD,
    "tempo": vocabulary.TEMPO,
    "brightness": vocabulary.BRIGHTNESS,
    "density": vocabulary.DENSITY,
    "energy": vocabulary.ENERGY,
    "sound": vocabulary.SOUND,
    "mode": {mode: [*phrases, f"{mode} key", mode] for mode, phrases in vocabulary.MODE.items()},
}
ADJECTIVES = ("tempo", "brightness", "density", "energy", "sound", "mode")
TEMPLATES = {
    "genre": (
        "{}",
        "{} music",
        "a {} track",
        "a {} tune",
        "this is a sound of {}.",
        "this is a sound of {} music.",
    ),
    "lead": (
        "{}",
        "music with {}",
        "a {} solo",
        "this is a sound of {}.",
        "a tune led by {}",
        "featuring {}",
    ),
    "adjective": (
        "{}",
        "{} music",
        "a {} track",
        "a {} tune",
        "this is a sound of {}.",
        "this is a sound of {} music.",
    ),
    "in": ("{}", "music {}", "a track {}", "a tune {}"),  # "in a major key"
}
FUNCTION_WORDS = (
    "this",
    "is",
    "sound",
    "recording",
    "music",
    "key",
    "to",
    "it",
    "its",
    "sounds",
    "like",
    "clip",
)
UNKNOWN_SHARE = 0.25  # of the captions contain unknown words
PLAIN_WORD_SHARE = 0.4  # of the labels are named by their plain word


@dataclass(frozen=True)
class Caption:
    text: str
    named: dict[str, str]  # attribute -> value

    def is_true_of(self, labels: dict) -> bool:
        """Return whether every named label is a label of the clip; absent labels count as false."""
        return all(labels.get(attribute) == value for attribute, value in self.named.items())


def plain_word(attribute: str, value: str) -> str:
    """Return the everyday word for a value."""
    synonyms = ATTRIBUTES[attribute][value]
    return value if value in synonyms else synonyms[0]


def draw_phrase(attribute: str, value: str, rng: np.random.Generator) -> str:
    """Draw a word or phrase for a value."""
    synonyms = ATTRIBUTES[attribute][value]
    return (
        plain_word(attribute, value)
        if rng.random() < PLAIN_WORD_SHARE
        else str(rng.choice(synonyms))
    )


def value_captions(attribute: str, rng: np.random.Generator) -> dict[str, str]:
    """Return one short caption per value of an attribute: a zero-shot question.

    All captions have one template.
    """
    phrases = {value: draw_phrase(attribute, value, rng) for value in ATTRIBUTES[attribute]}
    kind = (
        attribute
        if attribute in TEMPLATES
        else "in"
        if any(s.startswith("in ") for s in phrases.values())
        else "adjective"
    )
    template = str(rng.choice(TEMPLATES[kind]))
    if kind == "in":
        return {
            v: template.format(s) if s.startswith("in ") else f"music that is {s}"
            for v, s in phrases.items()
        }
    return {value: template.format(text) for value, text in phrases.items()}


def caption(labels: dict, rng: np.random.Generator) -> Caption:
    """Write one caption of a clip.

    Labels are left out at random, so that shorter captions occur in training.
    """
    present = [attribute for attribute in ATTRIBUTES if attribute in labels]
    shares = {"genre": 0.75, "lead": 0.7}
    named = {a: str(labels[a]) for a in present if rng.random() < shares.get(a, 0.35)}
    if not named:
        named = {a: str(labels[a]) for a in [str(rng.choice(present))]}
    phrases = {attribute: draw_phrase(attribute, value, rng) for attribute, value in named.items()}
    adjectives = [
        phrases[a] for a in ADJECTIVES if a in phrases and not phrases[a].startswith("in ")
    ]
    tail = [phrases[a] for a in ADJECTIVES if a in phrases and phrases[a].startswith("in ")]
    rng.shuffle(adjectives)
    if "lead" in phrases:
        tail.insert(0, f"{rng.choice(['with', 'featuring', 'led by', 'for'])} {phrases['lead']}")
    head = [
        *adjectives,
        *([phrases["genre"]] if "genre" in phrases else []),
        str(rng.choice(vocabulary.FORM)),
    ]
    if rng.random() < 0.6:
        head.insert(0, "a")
    if rng.random() < 0.15:
        tail.append(str(rng.choice(vocabulary.FILLER)))
    text = " ".join(head) + "".join((", " if rng.random() < 0.3 else " ") + part for part in tail)
    return Caption(_with_unknown_words(text, rng), named)


def _with_unknown_words(text: str, rng: np.random.Generator) -> str:
    if rng.random() > UNKNOWN_SHARE:
        return text
    words = text.split()
    for _ in range(int(rng.integers(1, 4 if rng.random() < 0.8 else 25))):
        words.insert(int(rng.integers(len(words) + 1)), UNKNOWN)
    return " ".join(words)


def build_tokenizer(out: Path | None = None) -> PreTrainedTokenizerFast:
    """Build the word tokenizer.

    Lower-case words between BOS and EOS, right padding, `<unk>` for unknown words.

    Args:
        out: folder to save it in, if given.
    """
    plain_words = {
        word
        for table in ATTRIBUTES.values()
        for synonyms in table.values()
        for s in synonyms
        for word in s.split()
    }
    entries = [
        PAD,
        BOS,
        EOS,
        UNKNOWN,
        *sorted({*vocabulary.vocabulary(), *plain_words, *FUNCTION_WORDS, "that"}),
    ]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(entries)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[,.!?;:\"()]"), "isolated"), pre_tokenizers.WhitespaceSplit()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}",
        special_tokens=[(BOS, entries.index(BOS)), (EOS, entries.index(EOS))],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        model_max_length=TEXT_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
    )
    if out is not None:
        fast.save_pretrained(out)
    return fast
