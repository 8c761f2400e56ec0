"""CLAP score: the cosine of a clip's and a text's CLAP embeddings, -1 .. 1.

Conventions: no template, the text is embedded as it is. Values depend on the checkpoint; compare
only within one, and beside a control such as the same clips with each other's texts. None for
silence.
"""

from collections.abc import Sequence

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import (
    AudioTextEmbedder,
    as_clips,
    as_text_embedder,
    describe_embedder,
    embed_sounding,
)
from tonearm.measures.base import Measurement

CLAP_SCORE = "clap_score"


def measure_clap_score(clip: Clip, clap: AudioTextEmbedder, text: str) -> Measurement:
    """Score one clip against a text; raises as `measure_clap_scores`."""
    return measure_clap_scores([clip], clap, [text])[0]


def measure_clap_scores(
    clips: Sequence[Clip], clap: AudioTextEmbedder, texts: Sequence[str]
) -> list[Measurement]:
    """Score each clip against its own text.

    Args:
        clips: the clips.
        clap: evaluator that embeds clips and texts.
        texts: one per clip.

    Returns:
        One measurement per clip.

    Raises:
        TonearmError: a text has no word in the evaluator's vocabulary, or the numbers of clips and
            texts differ.
    """
    clips, clap = as_clips(clips, "clips"), as_text_embedder(clap, "clap")
    texts = boundary.sequence(texts, "texts", boundary.text, "a list of texts")
    if len(clips) != len(texts):
        raise TonearmError(f"{len(clips)} clips and {len(texts)} texts; give a text for each clip")
    for text in set(texts):
        clap.check_words(text)
    evaluator = describe_embedder(clap)
    unique = list(dict.fromkeys(texts))
    by_text = dict(zip(unique, clap.embed_texts(unique), strict=True)) if texts else {}
    return [
        Measurement(
            CLAP_SCORE,
            None if row is None else float(row @ by_text[text]),
            "cosine",
            f"{evaluator}, text {text!r}",
        )
        for text, row in zip(texts, embed_sounding(clips, clap), strict=True)
    ]
