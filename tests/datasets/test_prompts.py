import re
from collections import Counter

import pytest
from recipes.pocket import vocabulary

from tonearm.datasets.prompts import PAIRS, PromptPair, held_out, load_pair, neutral, read_prompts
from tonearm.errors import TonearmError

# Positive pole first.
POLES = {
    "tempo": (vocabulary.TEMPO["fast"], vocabulary.TEMPO["slow"]),
    "brightness": (vocabulary.BRIGHTNESS["bright"], vocabulary.BRIGHTNESS["dark"]),
    "mode": (vocabulary.MODE["major"], vocabulary.MODE["minor"]),
    "loudness": (vocabulary.DYNAMICS["loud"], vocabulary.DYNAMICS["soft"]),
    "energy": (vocabulary.ENERGY["energetic"], vocabulary.ENERGY["calm"]),
    "density": (vocabulary.DENSITY["dense"], vocabulary.DENSITY["sparse"]),
    "acoustic": (["acoustic"], ["electronic", "electro", "synth"]),
}
# Words that pocket does not know, or knows as no pole; a pair may hold its own.
FURTHER_WORDS = {
    "tempo": [*vocabulary.TEMPO["medium"], "tempo", "pace", "bpm", "steady", "lullaby", "ballad"],
    "brightness": ["warm", "cold", "mellow", "tone"],
    "mode": ["key", "major", "minor"],
    "loudness": ["noisy", "silent", "strong"],
    "energy": ["aggressive", "chill"],
    "density": ["simple", "complex", "small", "big"],
    "acoustic": ["unplugged", "unamplified", "digital", "synthesized"],
}
OTHER_GENRES = ["r&b", "reggae", "blues", "funk", "gospel", "soul"]
OTHER_LEADS = [
    "harp",
    "cello",
    "clarinet",
    "accordion",
    "mandolin",
    "oboe",
    "banjo",
    "choir",
    "marimba",
]
# pocket knows these, and the prompt sets hardly name them.
SELDOM = ("reggae", "funk", "cello", "marimba", "harmonica", "bells")
PAIRED = sorted(POLES)


def one_of(phrases: list[str]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")


def found(prompt: str, phrases: list[str]) -> list[str]:
    """The phrases in `prompt`, whole words only ("hurried" is not in "unhurried"), none inside a longer one."""
    return one_of(phrases).findall(prompt.lower())


def residue(prompt: str, phrases: list[str]) -> list[str]:
    """The words of `prompt` without articles, and with * for each of `phrases`."""
    return [
        word for word in one_of(phrases).sub("*", prompt.lower()).split() if word not in ("a", "an")
    ]


def flat(table: dict[str, list[str]]) -> list[str]:
    return [phrase.lower() for synonyms in table.values() for phrase in synonyms]


def pair_words(name: str) -> list[str]:
    positive, negative = POLES[name]
    return [*positive, *negative, *FURTHER_WORDS[name]]


def other_attribute_words(name: str | None = None) -> list[str]:
    """The words of every attribute but `name`, less those of genres and instruments ("electronic", "synth")."""
    phrases = [phrase for other in POLES if other != name for phrase in pair_words(other)]
    return [
        phrase for phrase in phrases if phrase not in flat(vocabulary.GENRE) + flat(vocabulary.LEAD)
    ]


def sides(pair: PromptPair) -> list[tuple[str, ...]]:
    return [pair.positive, pair.negative]


def everything() -> list[tuple[str, ...]]:
    return [side for name in PAIRS for side in sides(load_pair(name))] + [neutral(), held_out()]


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_has_100_prompts_a_side_and_states_what_its_poles_mean(name):
    pair = load_pair(name)
    assert pair.name == name
    assert (pair.positive_label, pair.negative_label) == PAIRS[name]
    assert len(pair.positive) == len(pair.negative) == 100


def test_the_first_pole_is_the_positive_one():
    tempo = load_pair("tempo")
    assert (tempo.positive_label, tempo.negative_label) == ("fast", "slow")
    assert any("fast" in prompt for prompt in tempo.positive)


def test_evaluation_sets_have_50_prompts_each():
    assert len(neutral()) == len(held_out()) == 50


def test_prompts_are_sentences_of_6_to_16_words_and_never_repeat_within_a_set():
    for prompts in everything():
        assert len(set(prompts)) == len(prompts)
        for prompt in prompts:
            assert 6 <= len(prompt.split()) <= 16, prompt
            assert prompt[0].isupper() and "  " not in prompt, prompt


def test_evaluation_prompts_are_in_no_other_set():
    learned = {prompt for name in PAIRS for side in sides(load_pair(name)) for prompt in side}
    assert not set(neutral()) & set(held_out())
    assert not learned & {*neutral(), *held_out()}


@pytest.mark.parametrize("prompts", [neutral(), held_out()], ids=["neutral", "held_out"])
def test_evaluation_prompts_hold_no_attribute_word(prompts):
    for prompt in prompts:
        assert not found(prompt, other_attribute_words()), prompt


@pytest.mark.parametrize("name", PAIRED)
def test_each_side_holds_its_own_attribute_words_and_none_of_another_attribute(name):
    positive, negative = POLES[name]
    pair = load_pair(name)
    for prompt in pair.positive:
        assert found(prompt, positive) and not found(prompt, other_attribute_words(name)), prompt
        assert name == "acoustic" or not found(prompt, negative), prompt
    for prompt in pair.negative:
        assert found(prompt, negative) and not found(prompt, other_attribute_words(name)), prompt
        assert not found(prompt, positive), prompt


@pytest.mark.parametrize("name", PAIRED)
def test_a_line_of_both_sides_differs_in_attribute_words_alone(name):
    pair = load_pair(name)
    for positive, negative in zip(pair.positive, pair.negative, strict=True):
        assert residue(positive, pair_words(name)) == residue(negative, pair_words(name))


@pytest.mark.parametrize(
    ("name", "swapped"),
    [
        ("jazz", [*flat(vocabulary.GENRE), *OTHER_GENRES]),
        ("classical", [*flat(vocabulary.GENRE), *OTHER_GENRES]),
        ("electronic", [*flat(vocabulary.GENRE), *OTHER_GENRES]),
        ("rock", [*flat(vocabulary.GENRE), *OTHER_GENRES]),
        ("folk", [*flat(vocabulary.GENRE), *OTHER_GENRES]),
        ("hip-hop", [*flat(vocabulary.GENRE), *OTHER_GENRES]),
        ("latin", [*flat(vocabulary.GENRE), *OTHER_GENRES]),
        ("flute", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
        ("cello", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
        ("piano", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
        ("guitar", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
        ("violin", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
        ("trumpet", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
        ("saxophone", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
        ("organ", [*flat(vocabulary.LEAD), *OTHER_LEADS]),
    ],
)
def test_genres_and_instruments_change_the_genre_or_the_instrument_alone(name, swapped):
    own = [word.lower() for word in (vocabulary.GENRE | vocabulary.LEAD)[name.replace("-", " ")]]
    pair = load_pair(name)
    for positive, negative in zip(pair.positive, pair.negative, strict=True):
        assert residue(positive, swapped) == residue(negative, swapped)
        assert found(positive, own) and not found(negative, own)
        assert not found(positive + " " + negative, other_attribute_words())


@pytest.mark.parametrize("name", [name for name in PAIRED if name != "acoustic"])
def test_synonyms_are_used_about_equally_often(name):
    pair = load_pair(name)
    for prompts, synonyms in zip(sides(pair), POLES[name], strict=True):
        uses = Counter(word for prompt in prompts for word in found(prompt, synonyms))
        assert set(uses) == set(synonyms)
        assert max(uses.values()) <= 2 * min(uses.values())
        assert 20 <= sum(len(found(prompt, synonyms)) == 2 for prompt in prompts) <= 50


def test_every_prompt_names_a_genre_and_an_instrument_and_most_are_those_that_pocket_knows():
    for prompts in everything():
        genres = [found(prompt, flat(vocabulary.GENRE)) for prompt in prompts]
        leads = [found(prompt, flat(vocabulary.LEAD)) for prompt in prompts]
        for prompt, genre, lead in zip(prompts, genres, leads, strict=True):
            assert genre or found(prompt, OTHER_GENRES), prompt
            assert lead or found(prompt, OTHER_LEADS), prompt
        unknown = sum(not genre or not lead for genre, lead in zip(genres, leads, strict=True))
        assert unknown <= len(prompts) / 5


@pytest.mark.parametrize("name", [name for name in PAIRED if name != "acoustic"])
def test_genres_and_instruments_are_balanced(name):
    prompts = load_pair(name).positive
    for table in (vocabulary.GENRE, vocabulary.LEAD):
        everyday = [synonyms for name, synonyms in table.items() if name not in SELDOM]
        shares = [sum(bool(found(prompt, synonyms)) for prompt in prompts) for synonyms in everyday]
        assert max(shares) <= 2.5 * min(shares)


def test_an_unknown_pair_is_refused_with_the_names():
    with pytest.raises(TonearmError, match=r"'nonsense'.*tempo, brightness, mode"):
        load_pair("nonsense")


def test_reading_skips_comments_blank_lines_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "fast.txt"
    path.write_bytes("\ufeff# fast\r\n\r\n  A fast tune \r\nUn morceau très rapide\r\n".encode())
    assert read_prompts(path) == ["A fast tune", "Un morceau très rapide"]


def test_only_a_line_feed_ends_a_prompt(tmp_path):
    path = tmp_path / "fast.txt"
    prompts = [f"a fast{separator}tune" for separator in "\u2028\u2029\x0b\x0c\x1c\x85"]
    path.write_text("\n".join(prompts), encoding="utf-8")
    assert read_prompts(path) == prompts


def test_a_line_of_formatting_characters_is_blank(tmp_path):
    path = tmp_path / "fast.txt"
    path.write_text("\u200b\n\u2060 \na fast tune\n", encoding="utf-8")
    assert read_prompts(path) == ["a fast tune"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "a\udcffb"])
def test_a_path_that_no_file_can_have_is_refused_in_one_line(name):
    with pytest.raises(TonearmError) as error:
        read_prompts(name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no prompts"),
        (b"# only\n\n  \n", "holds no prompts"),
        ("gem\u00fctlich".encode("latin-1"), "UTF-8"),
        ("A fast tune".encode("utf-16"), "UTF-8"),
        (b"RIFF\x00\x00\x00\x00WAVE", "null bytes"),
    ],
)
def test_a_file_without_prompts_is_refused_by_name(tmp_path, content, complaint):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(TonearmError, match=complaint) as caught:
        read_prompts(path)
    assert str(path) in str(caught.value)
    assert "one prompt a line" in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(TonearmError, match=r"no prompt file at .*absent\.txt"):
        read_prompts(tmp_path / "absent.txt")
    with pytest.raises(TonearmError, match="is a folder"):
        read_prompts(tmp_path)
