"""Prompt pairs of further genres and instruments, from the scenes of the bundled ones.

    python -m recipes.pocket.prompt_pairs

A scene is a prompt of a bundled genre or instrument pair. Its genre (or instrument) is replaced by
the new one on the positive side and stays on the negative side, so that line i of both describes the
same scene. Evaluation prompts are left out on both sides.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

import numpy as np

from recipes.pocket import vocabulary
from tonearm import assets
from tonearm.datasets.prompts import held_out, load_pair, neutral

GENRES = {
    "rock": ("rock", "rock band", "indie rock"),
    "folk": ("folk", "country folk"),
    "hip-hop": ("hip hop", "hip-hop"),
    "latin": ("Latin", "salsa", "bossa nova", "samba"),
}
INSTRUMENTS = {
    "piano": ("piano", "grand piano"),
    "guitar": ("guitar",),
    "violin": ("violin", "fiddle"),
    "trumpet": ("trumpet",),
    "saxophone": ("saxophone", "sax"),
    "organ": ("organ",),
}
SOURCES = {"genre": ("jazz", "classical", "electronic"), "instrument": ("flute", "cello")}
COUNT = 100
UNKNOWN_SHARE = 0.1  # of the scenes name a genre or an instrument that pocket does not know
SEED = 20


def main() -> None:
    for kind, pairs, table in (
        ("genre", GENRES, vocabulary.GENRE),
        ("instrument", INSTRUMENTS, vocabulary.LEAD),
    ):
        for number, (name, words) in enumerate(pairs.items()):
            own = table[name.replace("-", " ")]
            rng = np.random.default_rng(SEED + number)
            positive, negative = pair(kind, words, own, table, rng)
            for side, prompts in (("positive", positive), ("negative", negative)):
                path = assets.PROMPTS / f"{name}.{side}.txt"
                path.write_text("".join(f"{prompt}\n" for prompt in prompts), encoding="utf-8")
            print(f"{name}: {len(positive)} pairs")


def pair(
    kind: str,
    words: Sequence[str],
    own: Sequence[str],
    table: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
) -> tuple[list[str], list[str]]:
    """Write both sides of a pair.

    Args:
        kind: genre or instrument.
        words: for the attribute, used in turn.
        own: every word for it.
        table: words of every genre or instrument, by name.
        rng: that orders the scenes.
    """
    evaluation = {*neutral(), *held_out()}
    scenes = list(dict.fromkeys(_scenes(SOURCES[kind])))
    rng.shuffle(scenes)
    names = [word for synonyms in table.values() for word in synonyms]
    unknown, allowed = 0, int(COUNT * UNKNOWN_SHARE)
    positive, negative = [], []
    turn = cycle(words)
    for scene in scenes:
        known = _words(names).findall(scene)
        if len(known) != 1 or _words(list(own)).search(scene):
            continue
        is_unknown = not all(
            _words([word for words in every.values() for word in words]).search(scene)
            for every in (vocabulary.GENRE, vocabulary.LEAD)
        )
        if is_unknown and unknown == allowed:
            continue
        new = _replaced(scene, _words(names), next(turn))
        if {scene, new} & evaluation or new in positive:
            continue
        unknown += is_unknown
        positive.append(new)
        negative.append(scene)
        if len(positive) == COUNT:
            return positive, negative
    raise SystemExit(f"{len(positive)} scenes are too few for {words}")


def _scenes(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        found = load_pair(name)
        yield from (*found.positive, *found.negative)


def _words(words: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    body = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![\w-])(?:{body})(?![\w-])", re.IGNORECASE)


def _replaced(scene: str, old: re.Pattern[str], word: str) -> str:
    """Replace a word and its article; a sentence begins with a capital."""
    text = old.sub(word, scene, count=1)
    article = "an" if word[0].lower() in "aeiou" else "a"

    def matched(match: re.Match[str]) -> str:
        return (article.capitalize() if match[1][0] == "A" else article) + f" {match[2]}"

    text = re.sub(rf"\b([Aa]n?) ({re.escape(word)})", matched, text, count=1)
    return text[0].upper() + text[1:]


if __name__ == "__main__":
    main()
