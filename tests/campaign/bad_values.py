"""Bad values: texts, numbers and Python objects. Every function is pure and seeded.

None of the numbers asks for a long computation that is allowed: lengths are at most a few seconds
or beyond every limit.
"""

import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

CONTROLS = "a\x1b[2J\x1b]0;title\x07\x9b1m\x7f\u202etune"
TEXTS = (
    "", " ", "\t\r\n", "\u200b", "\ufeff", "a\0b", "\0", "\ud800", "a\udcffb", "\udcff" * 40,
    CONTROLS, "\x1b", "\u2028", "first\nsecond", "nan", "None", "-", "--", "--force", "{}", "{0}",
    "{x!r:>100000}", "%s%n", "../..", "/", ".", "..", "~", "a=b=c", "=", "=1", ",", "@", "\\", "'",
    '"', "[bold]x[/bold]", ":smile:", "e\u0301" * 50, "💥" * 70, "\U0010ffff", "ﷺ" * 100, "null",
    "[]", "true", "x" * 300, "x" * 100_000, " " * 30_000, "a " * 30_000, "y/" * 3_000, "é" * 200,
    "a\tb", "C:\\x", "file:///etc/passwd", "con", "tune.", " tune ", "<script>alert(1)</script>",
)  # fmt: skip
NUMBERS = (
    "nan", "-nan", "inf", "-inf", "infinity", "-1", "0", "-0.0", "1e308", "-1e308", "1e-320",
    "1e400", "0x1p3", "0x10", "1_0", "१", "٣", "1,5", "", " ", "--", "1e7", "5e6", "1e-4", "-1e-9",
    "9" * 30, "9" * 5_000, "1/2", "1e", "e1", "+", "3 4", "True", "\0", "\ud800", CONTROLS,
)  # fmt: skip
INTEGERS = (
    "-1", "0", "1.0", "1.5", "1e3", "0x10", "1_0", "٣", "", " ", "nan", "inf", "-0", "+3", " 3",
    str(2**31), str(2**32), str(2**62), str(2**63 - 1), str(2**63), str(2**64), str(-(2**63) - 1),
    "9" * 5_000, "-" + "9" * 40, "abc", "--", "\0", "\ud800", CONTROLS, "True", "10000000000",
)  # fmt: skip


def bad_text(rng: Random) -> str:
    """A text that is empty, blank, long, of control characters, or no text at all."""
    make = rng.choice((_listed_text, _listed_text, _random_text, _repeated_text, _joined_text))
    return make(rng)


def _listed_text(rng: Random) -> str:
    return rng.choice(TEXTS)


def _random_text(rng: Random) -> str:
    highest = rng.choice((0x20, 0x80, 0x100, 0x3000, sys.maxunicode))
    return "".join(chr(rng.randrange(highest)) for _ in range(rng.randrange(1, 60)))


def _repeated_text(rng: Random) -> str:
    unit = rng.choice(
        (" ", "a", "=", "@1-2", ",", "-", "9", ".", "\t", "a=1,", "(", "\\", "\x1b[1m")
    )
    return unit * rng.choice((2, 20, 2_000, 40_000)) + rng.choice(("", "!", "=1", " x"))


def _joined_text(rng: Random) -> str:
    return (
        rng.choice(TEXTS)[:200]
        + rng.choice(("", " ", "=", "/", "a tune"))
        + rng.choice(TEXTS)[:200]
    )


def bad_steer(rng: Random) -> str:
    """A short form of a steer with characters changed."""
    valid = rng.choice(("tempo=0.1", "tempo=+1.25@2-6", "a/b.safetensors=-1", "tempo=1@0.1-0.2"))
    return mutated_text(rng, valid)


def mutated_text(rng: Random, valid: str) -> str:
    """A text with some characters removed, doubled or replaced."""
    characters = list(valid)
    for _ in range(rng.randrange(1, 4)):
        position = rng.randrange(len(characters) + 1)
        new = rng.choice((*"=@,-+.0e \0\n\x1b", "\ud800", "nan", "9" * 400, "1e999", ""))
        characters[position : position + rng.randrange(3)] = [new]
    return "".join(characters)


def bad_number(rng: Random) -> str:
    return rng.choice(NUMBERS) if rng.random() < 0.8 else mutated_text(rng, "0.25")


def bad_integer(rng: Random) -> str:
    return rng.choice(INTEGERS) if rng.random() < 0.8 else mutated_text(rng, "-2")


def wrong_object(rng: Random) -> Any:
    """A Python object of a type that few arguments take."""
    return rng.choice(_OBJECTS)()


def _endless() -> Any:
    nested: list[Any] = []
    nested.append(nested)
    return nested


class Odd:
    """An object whose representation is long and in several lines."""

    def __repr__(self) -> str:
        return "odd\n\x1b[2J" * 200


_OBJECTS: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: 0, lambda: -1, lambda: 3, lambda: 1.5, lambda: 1j,
    lambda: float("nan"), lambda: float("inf"), lambda: 10**5_000, lambda: 2**70, lambda: "",
    lambda: "calm", lambda: "a\0b", lambda: "\ud800", lambda: CONTROLS, lambda: "x" * 100_000,
    lambda: b"calm", lambda: bytearray(8), lambda: memoryview(b"calm"), list, tuple, dict, set,
    lambda: [None], lambda: [[[]]], lambda: ["calm", 3], lambda: {"a": {"b": object()}},
    lambda: {3: 4}, lambda: {"energy": float("nan")}, lambda: range(3), lambda: iter("ab"),
    lambda: (one for one in (1, "a")), object, Odd, lambda: Odd, lambda: int, lambda: print,
    lambda: Decimal("NaN"), lambda: Decimal(3), lambda: Fraction(1, 3), lambda: Path("absent"),
    lambda: Path(), lambda: np.array(3), lambda: np.array([1, 2]), lambda: np.array(["a"]),
    lambda: np.zeros((0, 4)), lambda: np.float32("nan"), lambda: np.int64(-3), lambda: np.str_("a"),
    lambda: np.array([object()]), lambda: np.array([1 + 2j]), lambda: np.datetime64("2020"),
    lambda: np.ma.masked, lambda: torch.zeros(3), lambda: torch.tensor(2.0),
    lambda: torch.zeros(2, requires_grad=True), lambda: NotImplemented, lambda: ..., _endless,
)  # fmt: skip


def bad_array(rng: Random) -> Any:
    """An array of odd shape, type or values."""
    shape = rng.choice(
        ((), (0,), (1,), (3,), (2, 0), (0, 5), (1, 7), (2, 3, 4), (600, 2), (1, 1600))
    )
    kind = rng.choice(
        ("f2", "f4", "f8", "c8", "i1", "i2", "i4", "i8", "u1", "u2", "u8", "?", "U3", "O", "M8[s]")
    )
    array = np.zeros(shape, dtype=kind)
    if kind[0] == "f" and array.size and rng.random() < 0.7:
        array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -np.inf, 1e30, 1e-40))
    return array if rng.random() < 0.8 else array.tolist()


def bad_count(rng: Random) -> Any:
    """A wrong whole number: of another type, negative, or beyond 64 bits."""
    return rng.choice((-1, 0, -(2**63), 2**63, 2**64, 10**400, 1.0, float("nan"), "3", None, True, np.int8(-1), np.array([1]), [1], 1 + 0j))  # fmt: skip


def bad_real(rng: Random) -> Any:
    """A wrong real number: of another type, not finite, or beyond every limit."""
    return rng.choice((float("nan"), float("inf"), float("-inf"), -1.0, 0.0, -0.0, 1e308, 5e-324, 1e7, 10**400, "1", None, True, np.float32("nan"), np.array([1.0]), [1.0], 1j, Decimal("sNaN"), Fraction(-1, 3)))  # fmt: skip
