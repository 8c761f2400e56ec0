"""Text agreement: how well a clip fits a text, as a judge hears it.

    agreement = cosine of the clip's and the text's CLAP embeddings, -1 .. 1        (often called the CLAP score)

Conventions: no template, the text is taken as it stands. Values depend on the checkpoint; compare only within one, and
beside a control such as the same clips with each other's texts. None for silence.
"""

from collections.abc import Sequence

from tonearm.audio import Clip
from tonearm.evaluators.base import AudioTextEmbedder, described, embed_sounding
from tonearm.measures.measurement import Measurement


def measure_clap_score(clip: Clip, judge: AudioTextEmbedder, text: str) -> Measurement:
    """The agreement of one clip with a text; raises as `measure_clap_scores`."""
    return measure_clap_scores([clip], judge, [text])[0]


def measure_clap_scores(clips: Sequence[Clip], judge: AudioTextEmbedder, texts: Sequence[str]) -> list[Measurement]:
    """The agreement of each clip with its own text.

    Raises TonearmError for a text without a word that the judge knows.
    """
    if len(clips) != len(texts):
        raise ValueError(f"{len(clips)} clips and {len(texts)} texts; give a text for each clip")
    for text in set(texts):
        judge.check_words(text)
    told = described(judge)
    unique = list(dict.fromkeys(texts))
    by_text = dict(zip(unique, judge.embed_texts(unique), strict=True)) if texts else {}
    return [
        Measurement(
            "text_agreement", None if row is None else float(row @ by_text[text]), "cosine", f"{told}, text {text!r}"
        )
        for text, row in zip(texts, embed_sounding(clips, judge), strict=True)
    ]
