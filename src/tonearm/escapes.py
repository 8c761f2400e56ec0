"""Text of users on a terminal: control characters as escapes, long texts shortened."""

import unicodedata

MAX_QUOTED = 80  # characters of a value in a message

# Control characters, surrogates, line and paragraph separators; formatting characters such as the
# joiners of emoji are kept, except those that reverse the direction of the text after them.
_ESCAPED_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escaped(text: str, keep: str = "\n", json: bool = False) -> str:
    """Write control characters as escapes, such as `\\x1b`, so that a terminal shows them.

    Args:
        text: any text.
        keep: control characters that remain as they are.
        json: use the escapes that JSON has, `\\u001b`.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character in keep or not _is_control(character) else _escape(character, json)
        for character in text
    )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _DIRECTIONS


def _escape(character: str, json: bool) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 and not json else f"\\u{code:04x}"


def shortened(text: str, longest: int = MAX_QUOTED) -> str:
    """Replace the middle of a text that is longer than `longest` characters by dots."""
    if len(text) <= longest:
        return text
    kept = longest - len(" ... ")
    return f"{text[: kept - kept // 3]} ... {text[len(text) - kept // 3 :]}"
