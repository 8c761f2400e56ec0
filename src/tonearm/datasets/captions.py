"""Texts of audio files: one text for all, a table of texts, or the prompts of takes.

any .csv or .jsonl    columns file_name (relative to the table's folder) and text
a take                `prompt` in the JSON sidecar of its audio, and its `sections` where it changed
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tonearm.datasets.tables import read_table
from tonearm.errors import TonearmError
from tonearm.files.real_path import real_path
from tonearm.files.text_file import read_json


@dataclass(frozen=True)
class SectionText:
    """Text of a clip from `start` on, which is a share of the clip's length, 0 <= start < 1."""

    start: float
    text: str


Caption = str | tuple[SectionText, ...]
"""Text of a clip; where it changes, texts in order of time, the first of which begins at 0."""


def read_captions(table: Path) -> dict[Path, str]:
    """Read a table of texts.

    Args:
        table: .csv or .jsonl with `file_name` and `text` in every row.

    Returns:
        Text by resolved path.

    Raises:
        TonearmError: the table is absent or incomplete, or has a file twice.
    """
    if not table.is_file():
        raise TonearmError(
            f"no file at {table}; give a .csv or .jsonl file with file_name and text in every row"
        )
    captions: dict[Path, str] = {}
    for number, row in read_table(table, ("file_name", "text")):
        path = real_path(table.parent / row["file_name"])
        if path in captions:
            raise TonearmError(
                f"row {number} of {table} names {row['file_name']} again; give each file one text"
            )
        captions[path] = row["text"]
    return captions


def captions_from_table(paths: Sequence[Path], table: Path) -> dict[Path, str]:
    """Look up the text of each file. Raises TonearmError for a file without one."""
    captions = read_captions(table)
    absent = [path for path in paths if real_path(path) not in captions]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise TonearmError(
            f"{table} has no text for {absent[0]}{more}; add a row for each file, "
            "with its path from the table's folder"
        )
    return {path: captions[real_path(path)] for path in paths}


def prompts_of_takes(paths: Sequence[Path]) -> dict[Path, Caption]:
    """Read the prompts of each take from its sidecar. Raises TonearmError for other files."""
    return {path: _prompt(path) for path in paths}


def _prompt(path: Path) -> Caption:
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        raise TonearmError(
            f"{path} is no take: it has no sidecar {sidecar.name}; give its text with --texts"
        )
    content = read_json(sidecar, "sidecar", "give its text with --texts")
    prompt = content.get("prompt") if isinstance(content, dict) else None
    if not isinstance(prompt, str):
        raise TonearmError(f"{sidecar} holds no prompt; give its text with --texts")
    if not content.get("sections"):
        return prompt
    try:
        return _sections(prompt, content)
    except (KeyError, TypeError, ValueError):
        raise TonearmError(
            f"{sidecar} holds sections that cannot be read; give its text with --texts"
        ) from None


def _sections(prompt: str, content: dict[str, Any]) -> tuple[SectionText, ...]:
    """Texts by their share of the clip, which a time stretch does not change."""
    frames, later = content["frames"], content["sections"]
    starts = [0, *(one["frame"] for one in later)]
    texts = [prompt, *(one["prompt"] for one in later)]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a prompt is no text")
    if any(last <= first for first, last in pairwise([*starts, frames])):
        raise ValueError("the frames are not in order")
    return tuple(
        SectionText(start / frames, text) for start, text in zip(starts, texts, strict=True)
    )
