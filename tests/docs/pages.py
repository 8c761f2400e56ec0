"""Markdown pages of the repository and their fenced code blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "examples" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
)
FENCE = re.compile(
    r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One fenced block: language, text, and the line number of its first line of text."""

    language: str
    text: str
    line: int


def blocks(page: str, *languages: str) -> list[Block]:
    """The blocks of a page in the given languages, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [
        Block(m["language"], m["text"], text.count("\n", 0, m.start("text")) + 1)
        for m in FENCE.finditer(text)
    ]
    return [block for block in found if block.language in languages]


def commands(page: str) -> list[str]:
    """Command lines of a page's shell blocks, without comments; a backslash continues a line."""
    lines = []
    for block in blocks(page, "bash", "sh"):
        lines += block.text.replace("\\\n", " ").splitlines()
    stripped = (re.sub(r"\s#.*$", "", line).strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


def named_paths(page: str) -> list[str]:
    """Paths in the code spans of a page that name a file or folder of the repository."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    roots = r"(?:src|tests|docs|recipes|benchmarks|examples|musicgen|steering|measures|generation)"
    return [span for span in spans if re.fullmatch(rf"{roots}/[\w./-]*", span)]
