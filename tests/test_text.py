"""Text of users: escapes, quoting, limits."""

import pytest

from tonearm.errors import TonearmError
from tonearm.escapes import escaped
from tonearm.text import check_path, check_text, first_line, is_blank, quoted


def test_control_characters_become_escapes_and_words_stay():
    assert escaped("a\x1b[2Jb\x07\x9b\u202e\u2028\udcff") == (
        "a\\x1b[2Jb\\x07\\x9b\\u202e\\u2028\\udcff"
    )
    family = "\U0001f468\u200d\U0001f469 \u0646\u0645\u06cc\u200c \u5f26"
    assert escaped(family) == family
    assert escaped("a\nb\tc") == "a\nb\\x09c" and escaped("a\nb", keep="") == "a\\x0ab"


@pytest.mark.parametrize("value", ["x" * 10**6, b"x" * 10**6, list(range(10**5)), {"a": "b" * 500}])
def test_a_long_value_is_quoted_in_short(value):
    assert len(quoted(value)) <= 170 and " ... " in quoted(value)


def test_a_short_value_is_quoted_whole():
    assert quoted("tempo") == "'tempo'" and quoted(None) == "None"


def test_the_first_line_of_an_error_without_message_is_its_class():
    assert first_line(ValueError("\n\nbroken\nmore")) == "broken"
    assert first_line(MemoryError()) == "MemoryError"


def test_spaces_and_formatting_characters_are_blank():
    assert is_blank("") and is_blank(" \u200b\ufeff\u2060\n") and not is_blank(" a\u200b")


def test_texts_that_no_file_can_hold_are_refused():
    for text, reason in (("a\0b", "null"), ("a\udcff", "UTF-8")):
        with pytest.raises(TonearmError, match=reason):
            check_text(text, "the prompt")
    for path in ("x" * 256, "\u00e9" * 128, "/a" * 3000):
        with pytest.raises(TonearmError, match="too long"):
            check_path(path, "the path")
    check_path("a/" * 1000 + "x" * 255, "the path")


def test_an_error_is_one_line_without_control_characters_of_limited_length():
    message = str(TonearmError("no file at a\x1b[2Jb\nc\ud800" + "x" * 10_000))
    assert message.startswith("no file at a\\x1b[2Jb\\x0ac\\ud800x") and len(message) <= 1200
    assert str(TonearmError("no file at ü: 'é'")) == "no file at ü: 'é'"


def test_a_value_that_cannot_be_printed_is_quoted_by_its_type():
    assert quoted(10**5_000) == "<int>" and quoted([10**5_000]) == "<list>"
