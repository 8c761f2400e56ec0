import pytest

from tonearm.knobs.tempo_words import TEMPO_WORDS, with_tempo


@pytest.mark.parametrize(
    ("prompt", "bare", "left_out"),
    [
        ("a slow folk tune with flute", "a folk tune with flute", ["slow"]),
        ("A folk tune, slow", "A folk tune", ["slow"]),
        (
            "An unhurried and warm jazz piece at 90 bpm with sax",
            "A warm jazz piece with sax",
            ["at 90 bpm", "unhurried"],
        ),
        ("a warm and slow waltz", "a warm waltz", ["slow"]),
        ("a waltz that is warm and slow", "a waltz that is warm", ["slow"]),
        ("very fast house, 140 BPM, energetic", "house, energetic", ["140 BPM", "very fast"]),
        ("dragging and crawling rock", "rock", ["dragging", "crawling"]),
        ("bpm: 120 drum loop", "drum loop", ["bpm: 120"]),
        ("drum loop, 120.5 beats per minute", "drum loop", ["120.5 beats per minute"]),
        ("house, 120-128 BPM, warm", "house, warm", ["120-128 BPM"]),
        ("house, 120 – 128 bpm", "house", ["120 – 128 bpm"]),
        ("jazz between 100 and 120 bpm", "jazz", ["between 100 and 120 bpm"]),
        ("jazz at 90 bpm to 100 bpm", "jazz", ["at 90 bpm to 100 bpm"]),
        ("jazz, ~120 beats/min", "jazz", ["~120 beats/min"]),
        ("rock at a tempo of 120 bpm, loud", "rock, loud", ["at a tempo of 120 bpm"]),
        ("a steady tempo of 90 bpm", "a steady tempo", ["of 90 bpm"]),
        ("tempo: 120, jazz", "jazz", ["tempo: 120"]),
        ("bpm 100-110 jazz", "jazz", ["bpm 100-110"]),
        ("an hour of organ", "an hour of organ", []),
        ("a slow organ", "an organ", ["slow"]),
        ("fasting music for 808 drums", "fasting music for 808 drums", []),
        ("non-slow tune", "non-slow tune", []),
    ],
)
def test_the_number_replaces_the_tempo_of_the_prompt(prompt, bare, left_out):
    found = with_tempo(prompt, 128.4)
    assert found.text == f"128 bpm, {bare}, at 128 bpm"
    assert list(found.left_out) == left_out


@pytest.mark.parametrize("prompt", ["slow", "120 bpm", "", "very slow tempo"])
def test_a_prompt_of_a_tempo_alone_becomes_the_number(prompt):
    assert with_tempo(prompt, 90).text == "90 bpm"


@pytest.mark.parametrize("word", TEMPO_WORDS)
def test_every_word_is_left_out_and_writing_twice_changes_nothing_more(word):
    once = with_tempo(f"a {word} jazz tune", 100)
    assert once.text == "100 bpm, a jazz tune, at 100 bpm"
    assert with_tempo(once.text, 100).text == "100 bpm, a jazz tune, at 100 bpm"
