"""Labels -> captions and what each of them names, and the word tokenizer that reads them.

The words are pocket's, for the labels that can be heard at any level. One caption names one to five labels.
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
MAX_POSITIONS = 514  # as in the published checkpoints; a longer text is the caller's to cut

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
    "genre": ("{}", "{} music", "a {} track", "a {} tune", "this is a sound of {}.", "this is a sound of {} music."),
    "lead": ("{}", "music with {}", "a {} solo", "this is a sound of {}.", "a tune led by {}", "featuring {}"),
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
GLUE = ("this", "is", "sound", "recording", "music", "key", "to", "it", "its", "sounds", "like", "clip")
UNKNOWN_SHARE = 0.25  # captions with unknown words in them
PLAIN = 0.4  # how often a label is said in its plain word


@dataclass(frozen=True)
class Caption:
    text: str
    named: dict[str, str]  # attribute -> value, only those that the text says

    def fits(self, labels: dict) -> bool:
        """Whether the text is true of a clip with these labels; what the clip has no label for is not."""
        return all(labels.get(attribute) == value for attribute, value in self.named.items())


def plain(attribute: str, value: str) -> str:
    """The word for a value that people type."""
    synonyms = ATTRIBUTES[attribute][value]
    return value if value in synonyms else synonyms[0]


def phrase(attribute: str, value: str, rng: np.random.Generator) -> str:
    synonyms = ATTRIBUTES[attribute][value]
    return plain(attribute, value) if rng.random() < PLAIN else str(rng.choice(synonyms))


def value_captions(attribute: str, rng: np.random.Generator) -> dict[str, str]:
    """One short caption for each value of an attribute, all of one shape: a zero-shot question."""
    said = {value: phrase(attribute, value, rng) for value in ATTRIBUTES[attribute]}
    kind = (
        attribute
        if attribute in TEMPLATES
        else "in"
        if any(s.startswith("in ") for s in said.values())
        else "adjective"
    )
    template = str(rng.choice(TEMPLATES[kind]))
    if kind == "in":
        return {v: template.format(s) if s.startswith("in ") else f"music that is {s}" for v, s in said.items()}
    return {value: template.format(text) for value, text in said.items()}


def caption(labels: dict, rng: np.random.Generator) -> Caption:
    """One caption of a clip; every label is left out often enough that captions without it are at home too."""
    present = [attribute for attribute in ATTRIBUTES if attribute in labels]
    shares = {"genre": 0.75, "lead": 0.7}
    named = {a: str(labels[a]) for a in present if rng.random() < shares.get(a, 0.35)}
    if not named:
        named = {a: str(labels[a]) for a in [str(rng.choice(present))]}
    said = {attribute: phrase(attribute, value, rng) for attribute, value in named.items()}
    adjectives = [said[a] for a in ADJECTIVES if a in said and not said[a].startswith("in ")]
    tail = [said[a] for a in ADJECTIVES if a in said and said[a].startswith("in ")]
    rng.shuffle(adjectives)
    if "lead" in said:
        tail.insert(0, f"{rng.choice(['with', 'featuring', 'led by', 'for'])} {said['lead']}")
    head = [*adjectives, *([said["genre"]] if "genre" in said else []), str(rng.choice(vocabulary.FORM))]
    if rng.random() < 0.6:
        head.insert(0, "a")
    if rng.random() < 0.15:
        tail.append(str(rng.choice(vocabulary.FILLER)))
    text = " ".join(head) + "".join((", " if rng.random() < 0.3 else " ") + part for part in tail)
    return Caption(_with_unknown_words(text, rng), named)


def _with_unknown_words(text: str, rng: np.random.Generator) -> str:
    if rng.random() > UNKNOWN_SHARE:
        return text
    said = text.split()
    for _ in range(int(rng.integers(1, 4 if rng.random() < 0.8 else 25))):
        said.insert(int(rng.integers(len(said) + 1)), UNKNOWN)
    return " ".join(said)


def build_tokenizer(out: Path | None = None) -> PreTrainedTokenizerFast:
    """Lower-case words between BOS and EOS, padded on the right; a word it does not know is one <unk>. Saved to `out` if given."""
    plain = {
        word for table in ATTRIBUTES.values() for synonyms in table.values() for s in synonyms for word in s.split()
    }
    entries = [PAD, BOS, EOS, UNKNOWN, *sorted({*vocabulary.vocabulary(), *plain, *GLUE, "that"})]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(entries)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[,.!?;:\"()]"), "isolated"), pre_tokenizers.WhitespaceSplit()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}", special_tokens=[(BOS, entries.index(BOS)), (EOS, entries.index(EOS))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS, unk_token=UNKNOWN,
        model_max_length=TEXT_TOKENS, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
    if out is not None:
        fast.save_pretrained(out)
    return fast
