"""A prompt that asks for a number of beats per minute.

MusicGen follows a number in words best: on pocket it is met in more takes than any direction reaches
(docs/knobs.md). Words for another tempo compete with it, so that they are left out, and a
number that the prompt states is replaced. The number stands at the start and at the end of the prompt;
on pocket that is followed more often than once beside words of another tempo.
"""

import re
from dataclasses import dataclass

# Words that say a tempo and nothing else; "driving" or "relaxed" say more, and stay.
TEMPO_WORDS = (
    "adagio", "allegretto", "allegro", "andante", "breakneck", "brisk", "crawling", "downtempo",
    "down-tempo", "dragging", "fast", "fast-moving", "fast-paced", "galloping", "grave", "hurried",
    "largo", "leisurely", "lento", "medium-paced", "medium-tempo", "mid-tempo", "midtempo",
    "moderate-tempo", "moderato", "plodding", "prestissimo", "presto", "quick", "racing", "rapid",
    "rushing", "slow", "slow-moving", "slow-paced", "slowed-down", "sluggish", "speedy",
    "steady-paced", "swift", "unhurried", "up-tempo", "uptempo", "vivace", "walking-pace",
)  # fmt: skip
_WORD = re.compile(
    r"(?:\b(?:very|really|quite|rather|pretty|super)\s+)?(?<![\w-])(?:"
    + "|".join(sorted(map(re.escape, TEMPO_WORDS), key=len, reverse=True))
    + r")(?:\s+(?:tempo|pace|speed))?(?![\w-])",
    re.IGNORECASE,
)
_BPM = r"(?:bpm\b|beats\s*(?:per|a|/)\s*min(?:ute)?\b)"
_DIGITS = r"\d+(?:\.\d+)?"
_RANGE = rf"{_DIGITS}(?:\s*{_BPM})?(?:\s*(?:-|–|to\b|and\b)\s*{_DIGITS})?"  # "120", "120-128"
_NUMBER = re.compile(
    r"[,;]?\s*(?:\b(?:at|in|with)\s+)?(?:\ba\s+(?:tempo|pace|speed)\s+)?"
    r"(?:\b(?:of|around|about|between|from|to)\s+)*~?(?:"
    rf"\b(?:bpm|tempo)\s*[:=]?\s*{_RANGE}(?!\w|\.\d)(?:\s*{_BPM})?|"
    rf"(?<![\w.]){_RANGE}\s*{_BPM})",
    re.IGNORECASE,
)
_GAP = "\0"  # where a word was
_JOINTS = (  # the joints beside a gap
    (rf"(?:{_GAP}\s*(?:and|but|yet|,)\s*)+{_GAP}", _GAP),  # "slow and quick"
    (rf"{_GAP}\s*(?:and|but|yet)\b\s*", _GAP + " "),  # "slow and warm"
    (rf"\s*\b(?:and|but|yet)\s+{_GAP}", " "),  # "warm and slow"
    (rf"(?:(?<=,)|^)\s*{_GAP}\s*(?:,|$)", ""),
    (rf",\s*{_GAP}\s*$", ""),
    (r"\s+([,.;])", r"\1"),
    (r"(?:,\s*)+(?=[,.;]|$)", ""),
    (r"^[\s,;]+|[\s,;]+$", ""),
)
_ARTICLE = re.compile(rf"\b([Aa]n?)\s+{_GAP}\s*([A-Za-z])")


@dataclass(frozen=True)
class TempoPrompt:
    """A prompt with a number of beats per minute.

    text      of the prompt
    left_out  words of a tempo, and a number, that it no longer holds
    """

    text: str
    left_out: tuple[str, ...]


def with_tempo(prompt: str, bpm: float) -> TempoPrompt:
    """Write a tempo into a prompt, in place of its own words for one.

    Args:
        prompt: in English.
        bpm: above 0; it is rounded to a whole number.
    """
    left_out = [
        match[0].strip(" ,;") for pattern in (_NUMBER, _WORD) for match in pattern.finditer(prompt)
    ]
    bare = _WORD.sub(_GAP, _NUMBER.sub(_GAP, prompt))
    for pattern, replacement in _JOINTS:
        bare = re.sub(pattern, replacement, bare)
    bare = re.sub(rf"\s*{_GAP}\s*", " ", _ARTICLE.sub(_agreeing, bare)).strip()
    bare = re.sub(r"\s+", " ", re.sub(r"\s+([,.;])", r"\1", bare))
    number = f"{round(bpm)} bpm"
    text = f"{number}, {bare}, at {number}" if bare else number
    return TempoPrompt(text, tuple(left_out))


def _agreeing(match: re.Match[str]) -> str:
    """An article, a gap and the first letter after it, with the article that this letter needs."""
    article = "an" if match[2].lower() in "aeiou" else "a"
    return f"{article.capitalize() if match[1][0] == 'A' else article} {match[2]}"
