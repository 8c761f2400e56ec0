"""Allocation of listeners to sheets by their id; the page does the same.

An id that ends in a number has that number's sheet, so that consecutive numbers are counterbalanced.
Another id has the sheet of its hash (FNV-1a of its UTF-8, 32 bits).
"""

import re

FNV_START, FNV_PRIME = 0x811C9DC5, 0x01000193
NUMBER = re.compile(r"[0-9]{1,9}$")


def sheet_of(listener: str, sheets: int) -> int:
    """Return the index of a listener's sheet."""
    found = NUMBER.search(listener)
    if found:
        return int(found[0]) % sheets
    digest = FNV_START
    for byte in listener.encode("utf-8"):
        digest = (digest ^ byte) * FNV_PRIME % 2**32
    return digest % sheets
