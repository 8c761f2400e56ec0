"""Verdicts: what is wrong with the end of a command or with the result of a function."""

import dataclasses
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.campaign.processes import Ended
from tonearm.errors import TonearmError

BAD_INPUT, INTERRUPTED = 2, 130
LONGEST_LINE = 1_300  # characters
TAKEN = 300  # items of an iterator that are examined
NOT_A_NUMBER = re.compile(r"(?<![\w/.'\"-])[+-]?(nan|inf)(?![\w/'\"-])")
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def faults_of_command(
    ended: Ended, folder: Path, allowed: tuple[int, ...] = (0, BAD_INPUT)
) -> list[str]:
    """Examine exit code, output and files of a command.

    Args:
        ended: its process.
        folder: its working directory.
        allowed: exit codes.
    """
    if ended.is_hung:
        return [f"hung for {ended.seconds:.0f} s: {_stack(ended.err)}"]
    if ended.killed_by:
        return [f"killed by signal {ended.killed_by}: {_stack(ended.err)}"]
    found = []
    if "Traceback" in ended.err or ended.code not in allowed:
        return [f"exit code {ended.code}: {_cause(ended.err)}"]
    lines = ended.err.splitlines()
    if ended.code == BAD_INPUT and not any(_is_error(line) for line in lines):
        found.append(f"no error line: {ended.err[-500:]!r}")
    foreign = [line for line in lines if not line.startswith("tonearm: ")]
    if foreign:
        found.append(f"lines of others on stderr: {foreign[:3]}")
    long = [len(line) for line in lines if len(line) > LONGEST_LINE]
    if long:
        found.append(f"lines of {long} characters")
    shown = {one for one in ended.out + ended.err if is_control(one)}
    if shown:
        found.append(f"control characters: {sorted(map(ascii, shown))}")
    if NOT_A_NUMBER.search(ended.out):
        found.append(f"not a number in the output: {ended.out[-1500:]}")
    return found + unfinished_files(folder)


def _cause(err: str) -> str:
    """The innermost line of Tonearm in a traceback, and the exception; else the end of stderr."""
    if "Traceback" not in err:
        return err[-1_000:]
    places = re.findall(r'File ".*?(tonearm/[^"]*)", line (\d+), in (\S+)', err)
    place = ":".join(places[-1]) if places else ""
    return f"{place} {err.strip().splitlines()[-1][:300]}"


def _stack(err: str) -> str:
    """The innermost calls in a dump of faulthandler."""
    calls = re.findall(r'File "[^"]*?([^/"]+/[^/"]+)", line (\d+) in (\S+)', err)
    return " < ".join(":".join(call) for call in calls[:12]) or err[:500]


def _is_error(line: str) -> bool:
    return line.startswith("tonearm: ") and not line.startswith("tonearm: warning: ")


def is_control(character: str) -> bool:
    """Whether a terminal would act on a character, line feeds apart."""
    is_bad = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in DIRECTIONS
    return is_bad and character != "\n"


def unfinished_files(folder: Path) -> list[str]:
    """Temporary files, and sidecars and audio that are not whole."""
    found = []
    for path in folder.rglob("*"):
        if ".part" in path.name or (path.name.startswith(".") and path.name.endswith(".old")):
            found.append(f"left behind: {path.relative_to(folder)!s}")
    return found


def outcome_of(call: Callable[[], Any], is_computed: bool = True) -> list[str]:
    """Call a function of the library, and examine its result or its error.

    Args:
        call: the function.
        is_computed: the result is computed, so that it has to be finite.
    """
    try:
        result = call()
        if not is_computed:
            return []
        return [f"not a number in the result: {one}" for one in not_finite(result)][:1]
    except TonearmError as error:
        return _faults_of_message(str(error))


def _faults_of_message(message: str) -> list[str]:
    found = []
    if len(message.splitlines()) != 1:
        found.append(f"message is not one line: {message[:500]!r}")
    if len(message) > LONGEST_LINE:
        found.append(f"message of {len(message)} characters: {message[:200]!r}")
    shown = {one for one in message if is_control(one)}
    if shown:
        found.append(f"control characters in the message: {message[:500]!r}")
    return found


def not_finite(value: Any, depth: int = 0) -> Iterator[str]:
    """Places in a result that are NaN or infinite."""
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            yield repr(value)
    elif isinstance(value, np.ndarray | torch.Tensor):
        is_tensor = isinstance(value, torch.Tensor)
        array = value.detach().float().numpy() if is_tensor else np.asarray(value)
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            yield f"array {array.dtype} {array.shape}"
    elif depth > 6 or isinstance(value, str | bytes | int | None | Path):
        return
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from not_finite(inner, depth + 1)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for one in dataclasses.fields(value):
            yield from not_finite(getattr(value, one.name), depth + 1)
    elif hasattr(value, "model_dump"):
        yield from not_finite(value.model_dump(), depth + 1)
    elif hasattr(value, "__iter__") and not isinstance(value, type):
        for _, inner in zip(range(TAKEN), value, strict=False):
            yield from not_finite(inner, depth + 1)


def read_strict_json(text: str) -> Any:
    """Read JSON without NaN and infinities."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)
