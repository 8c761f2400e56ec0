"""Types of arguments at the public entries: conversion, or one line that names the argument.

Every function takes a value and the argument's name, and returns the value in the type that the
package computes with. Integers go through `operator.index`, so that NumPy's are accepted and floats
are not.
"""

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from tonearm.errors import TonearmError
from tonearm.text import check_path, check_text, quoted

MAX_SEED = 2**63 - 1  # of torch
MAX_SKLEARN_SEED = 2**32 - 1
LARGEST = 2**64  # Python does not print integers of thousands of digits
T = TypeVar("T")


def refusal(value: object, name: str, allowed: str) -> TonearmError:
    """Make the error for a value of a wrong type.

    Args:
        value: as given.
        name: of the argument.
        allowed: what to give instead.
    """
    return TonearmError(f"{name} {quoted(value)} is of type {type(value).__name__}; give {allowed}")


def optional(check: Callable[[Any, str], T], value: object, name: str) -> T | None:
    """Apply a check unless the value is None."""
    return None if value is None else check(value, name)


def text(value: object, name: str) -> str:
    """Return a text without null characters and surrogates."""
    if not isinstance(value, str):
        raise refusal(value, name, "a text")
    check_text(value, name)
    return str(value)


def integer(value: object, name: str) -> int:
    """Return a whole number of 64 bits, also of NumPy; not a float, not a bool."""
    try:
        if isinstance(value, bool):
            raise TypeError
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise refusal(value, name, "a whole number") from None
    if abs(found) > LARGEST:
        raise TonearmError(
            f"{name} is a number of {found.bit_length()} bits, which is not possible; "
            "give a smaller one"
        )
    return found


def seed(value: object, highest: int = MAX_SEED) -> int:
    """Return a seed from 0 to `highest`."""
    found = integer(value, "seed")
    if not 0 <= found <= highest:
        raise TonearmError(f"seed {found} is not possible; use a whole number from 0 to {highest}")
    return found


def flag(value: object, name: str) -> bool:
    """Return True or False."""
    return instance(value, name, bool, "True or False")


def number(value: object, name: str) -> float:
    """Return a real number, also of NumPy; NaN and infinities pass, a bool does not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise refusal(value, name, "a number")
    try:
        return float(value)
    except OverflowError:
        raise refusal(value, name, "a smaller number") from None


def path(value: object, name: str) -> str:
    """Return a path as text."""
    try:
        found = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        found = None
    if not isinstance(found, str):
        raise refusal(value, name, "a path, as text or pathlib.Path")
    if not found:
        raise TonearmError(f"{name} is an empty path; give the path of a file or folder")
    check_path(found, name)
    return found


def instance(value: object, name: str, kind: type[T], allowed: str) -> T:
    """Return a value of a class.

    Args:
        value: as given.
        name: of the argument.
        kind: the class.
        allowed: what to give instead, for the message.
    """
    if not isinstance(value, kind):
        raise refusal(value, name, allowed)
    return value


def sequence(value: object, name: str, check: Callable[[Any, str], T], allowed: str) -> list[T]:
    """Return a list of checked items; a single text or a mapping is not one.

    Args:
        value: any finite iterable.
        name: of the argument.
        check: of each item.
        allowed: what to give instead, for the message.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise refusal(value, name, allowed)
    try:
        items = list(value)
    except TypeError:  # an array of no dimensions has __iter__
        raise refusal(value, name, allowed) from None
    return [check(item, f"{name}[{index}]") for index, item in enumerate(items)]


def function(value: object, name: str) -> Any:
    """Return a value that can be called."""
    if not callable(value):
        raise refusal(value, name, "a function")
    return value


def array(value: object, name: str, dimensions: int = 1) -> np.ndarray:
    """Return finite real numbers as float64 of some dimensions."""
    try:
        has_shape = hasattr(value, "__array__") or isinstance(value, list | tuple)
        found = np.asarray(value if has_shape else list(value))  # type: ignore[call-overload]
        if found.dtype.kind not in "fiu":
            raise TypeError
        found = found.astype(np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise refusal(value, name, "real numbers") from None
    if found.ndim != dimensions:
        raise TonearmError(
            f"{name} has shape {list(found.shape)}; give an array of {dimensions} dimensions"
        )
    if not np.isfinite(found).all():
        raise TonearmError(f"{name} holds NaN or infinite values; give finite numbers")
    return found


def having(value: T, name: str, methods: tuple[str, ...], allowed: str) -> T:
    """Return an object with methods.

    Args:
        value: as given.
        name: of the argument.
        methods: that it must have.
        allowed: what to give instead, for the message.
    """
    if isinstance(value, type) or not all(
        callable(getattr(value, method, None)) for method in methods
    ):
        raise refusal(value, name, allowed)
    return value
