"""Words that a checkpoint does not know."""

import logging

import pytest

from tonearm.errors import TonearmError
from tonearm.musicgen.text_tokens import count_tokens, tokenise


@pytest.fixture(autouse=True)
def unwarned(melody):
    melody.checkpoint.warned.clear()


def test_unknown_words_are_one_warning_and_each_is_named_once(melody, caplog):
    with caplog.at_level(logging.WARNING):
        counts = count_tokens(
            melody.checkpoint, ["a fast zither tune, zither", "a slow tune", "a dulcimer tune"]
        )
    assert counts[1] == 4
    (warning,) = caplog.messages
    assert "does not know as one and the same: 'zither', 'dulcimer'; use" in warning
    count_tokens(melody.checkpoint, ["a zither tune", "a sitar tune"])
    assert "one and the same: 'sitar'; use" in caplog.messages[-1]
    count_tokens(melody.checkpoint, ["a zither tune"])
    assert len(caplog.messages) == 2


def test_known_words_and_the_empty_negative_prompt_give_no_warning(melody, caplog):
    count_tokens(melody.checkpoint, ["a fast folk tune", ""])
    assert not caplog.messages


def test_a_long_text_is_read_whole_where_no_length_is_fixed(small, monkeypatch):
    """The limit of a tokenizer is no limit of the text encoder, and generate() does not cut."""
    monkeypatch.setattr(small.checkpoint.tokenizer, "model_max_length", 70)
    text = "a fast folk tune " * 20
    (count,) = count_tokens(small.checkpoint, [text])
    assert count > 70
    assert tokenise(small.checkpoint, [text]).ids.shape[1] == count
    assert tokenise(small.checkpoint, [text], text_tokens=70).ids.shape[1] == 70


def test_many_unknown_words_are_counted(melody, caplog):
    count_tokens(melody.checkpoint, ["a tune " + " ".join(f"word{n}" for n in range(20))])
    (warning,) = caplog.messages
    assert "'word7' and 12 more" in warning


@pytest.mark.parametrize("text", ["zither dulcimer", "zither, !", "\u5f26\u697d"])
def test_a_text_of_unknown_words_alone_is_refused(melody, text):
    with pytest.raises(TonearmError, match=r"no word of .* is in the vocabulary"):
        count_tokens(melody.checkpoint, ["a folk tune", text])


@pytest.mark.parametrize("text", ["\u200b", " \u2060\ufeff", "a\0b", "a\udcff"])
def test_a_text_without_visible_characters_or_not_utf8_is_refused_in_one_line(melody, text):
    with pytest.raises(TonearmError) as error:
        melody.generate(text, seconds=0.2, seed=1)
    assert str(error.value).isprintable()
