"""What each file is said to sound like: one text for all, a table of texts, or the prompt that a take was made from."""

from collections.abc import Sequence
from pathlib import Path

from tonearm.errors import TonearmError


def texts_of(
    paths: Sequence[Path], text: str | None = None, table: Path | None = None, prompts: bool = False
) -> dict[Path, str]:
    """A text for each path; none where none was asked for. Raises TonearmError for a file without one."""
    if sum((text is not None, table is not None, prompts)) > 1:
        raise TonearmError("--text, --texts and --prompts each say what the files should sound like; choose one")
    if text is not None:
        return dict.fromkeys(paths, text)
    if table is not None:
        return _from_table(paths, table)
    return {path: _prompt(path) for path in paths} if prompts else {}


def _from_table(paths: Sequence[Path], table: Path) -> dict[Path, str]:
    from tonearm.datasets.labelled_audio import read_texts

    texts = read_texts(table)
    absent = [path for path in paths if path.resolve() not in texts]
    if absent:
        raise TonearmError(
            f"{table} has no text for {absent[0]}{_more(absent)}; add a row for each file, named from the table's folder"
        )
    return {path: texts[path.resolve()] for path in paths}


def _prompt(path: Path) -> str:
    from tonearm.generation.provenance import read_sidecar

    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        raise TonearmError(f"{path} is no take: there is no {sidecar.name} beside it; give its text with --texts")
    return read_sidecar(sidecar).prompt


def _more(paths: Sequence[Path]) -> str:
    return f" and {len(paths) - 1} more" if len(paths) > 1 else ""
