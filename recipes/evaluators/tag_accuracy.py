"""AUC of musicnn's tags for the labels of pocket's held-out pieces, as a Markdown table.

    python -m recipes.evaluators.tag_accuracy --corpus build/pocket/corpus

AUC is the probability that a piece with the label has a higher probability of the tag than a piece
without it; 0.5 is chance. Its interval is the 95 % range of a bootstrap over pieces. Each piece is
measured as rendered and as decoded by pocket's codec.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from recipes.evaluators.corpus import load_codec
from recipes.evaluators.render import through_codec
from recipes.pocket.corpus import as_float, load_audio, load_labels
from tonearm.audio import Clip
from tonearm.evaluators.musicnn import MusicnnTagger

SAMPLE_RATE = 16_000  # of pocket's corpus
CODEC_BATCH = 10
DRAWS = 1000
USABLE_AUC = 0.8
# tag -> (label, values with the tag, values without it; none for all others)
TRUTHS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "fast": ("tempo", ("fast",), ("slow",)),
    "slow": ("tempo", ("slow",), ("fast",)),
    "loud": ("dynamics", ("loud",), ("soft",)),
    "soft": ("dynamics", ("soft",), ("loud",)),
    "quiet": ("dynamics", ("soft",), ("loud",)),
    "guitar": ("lead", ("guitar",), ()),
    "piano": ("lead", ("piano",), ()),
    "flute": ("lead", ("flute",), ()),
    "violin": ("lead", ("violin",), ()),
    "cello": ("lead", ("cello",), ()),
    "strings": ("lead", ("violin", "cello"), ()),
    "synth": ("lead", ("synth",), ()),
    "rock": ("genre", ("rock",), ()),
    "metal": ("genre", ("rock",), ()),
    "country": ("genre", ("folk",), ()),
    "classical": ("genre", ("classical",), ()),
    "classic": ("genre", ("classical",), ()),
    "electronic": ("genre", ("electronic",), ()),
    "techno": ("genre", ("electronic",), ()),
    "dance": ("genre", ("electronic",), ()),
    "ambient": ("genre", ("electronic",), ()),
    "beats": ("genre", ("hip hop",), ()),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=Path("build/pocket/corpus"))
    parser.add_argument("--pieces", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    labels = load_labels(arguments.corpus, "held-out", 0)[: arguments.pieces]
    audio = load_audio(arguments.corpus, "held-out", 0)[: arguments.pieces]
    tagger = MusicnnTagger()
    print(table(labels, tagger.tags, *probabilities(audio, tagger)))


def probabilities(audio: np.ndarray, tagger: MusicnnTagger) -> tuple[np.ndarray, np.ndarray]:
    """Tag every piece, rendered and decoded.

    Args:
        audio: int16 [pieces, samples].
        tagger: musicnn.

    Returns:
        Probabilities of the tags, averaged over windows: two arrays [pieces, 50].
    """
    codec, rendered, decoded = load_codec(), [], []
    for start in range(0, len(audio), CODEC_BATCH):
        pieces = audio[start : start + CODEC_BATCH]
        clips = [Clip(as_float(samples), SAMPLE_RATE) for samples in pieces]
        rendered += [tagger.tag(clip).mean(0) for clip in clips]
        decoded += [tagger.tag(clip).mean(0) for clip in through_codec(codec, clips)]
    return np.stack(rendered), np.stack(decoded)


def table(
    labels: list[dict], tags: tuple[str, ...], rendered: np.ndarray, decoded: np.ndarray
) -> str:
    """Format the AUC of every tag of TRUTHS.

    Args:
        labels: of the pieces.
        tags: names of the columns.
        rendered: probabilities [pieces, tags].
        decoded: probabilities [pieces, tags].

    Returns:
        A Markdown table, the tags with the highest AUC on decoded pieces first.
    """
    rows = []
    for tag, (label, values, others) in TRUTHS.items():
        truths = np.array([piece[label] for piece in labels])
        positive = np.isin(truths, values)
        negative = np.isin(truths, others) if others else ~positive
        compared = positive | negative
        found = [
            auc_with_interval(copy[compared, tags.index(tag)], positive[compared])
            for copy in (rendered, decoded)
        ]
        pieces = f"{label}: {' or '.join(values)} against {' or '.join(others) or 'all others'}"
        usable = "yes" if min(found)[0] >= USABLE_AUC else "no"
        cells = [f"{auc:.2f} [{low:.2f}, {high:.2f}]" for auc, low, high in found]
        counts = f"{positive.sum()} / {negative.sum()}"
        rows.append((found[1][0], [tag, pieces, counts, *cells, usable]))
    head = ["tag", "pieces with and without it", "n", "rendered", "decoded", "usable"]
    lines = [head, ["---"] * len(head), *(cells for _, cells in sorted(rows, reverse=True))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def auc_with_interval(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float, float]:
    """Compute the AUC with its 95 % interval.

    Args:
        scores: one per piece.
        positive: whether the piece has the label.

    Returns:
        AUC, and the lower and upper bound.
    """
    rng = np.random.default_rng(0)
    draws = []
    while len(draws) < DRAWS:
        drawn = rng.integers(len(scores), size=len(scores))
        if 0 < positive[drawn].sum() < len(drawn):
            draws.append(auc(scores[drawn], positive[drawn]))
    low, high = np.quantile(draws, (0.025, 0.975))
    return auc(scores, positive), float(low), float(high)


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Compute the AUC by ranks (Mann-Whitney U)."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    above = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


if __name__ == "__main__":
    main()
