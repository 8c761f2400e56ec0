"""Language of comments and docstrings (CONTRIBUTING.md): no what-clauses, one term per concept."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "recipes", "benchmarks", "examples")
MAX_WHAT_PER_1000_WORDS = 1.0
# words that stand for a term of the glossary
BANNED = re.compile(
    r"\b(ears|judges?|judged|heard|hears|told|exam|shelf|dials?|waves? of takes|in company)\b",
    re.IGNORECASE,
)


# texts without code that the glossary's words could be part of
TEXTS = (
    "README.md",
    "docs/*.md",
    "src/tonearm/studio/static/*.*",
    "src/tonearm/report/templates/*.*",
)


def prose_of(path: Path) -> list[tuple[int, str]]:
    """Line number and text of every comment and docstring."""
    source = path.read_text(encoding="utf-8")
    found = [
        (token.start[0], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                found.append((getattr(node, "lineno", 1), text))
    return found


def files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_comments_and_docstrings_avoid_what_clauses():
    words = what = 0
    for path in files():
        for _, text in prose_of(path):
            words += len(re.findall(r"[A-Za-z']+", text))
            what += len(re.findall(r"\bwhat\b", text, re.IGNORECASE))
    assert 1000 * what / words < MAX_WHAT_PER_1000_WORDS, f"{what} of {words} words"


@pytest.mark.parametrize("pattern", TEXTS)
def test_pages_and_documents_use_the_terms_of_the_glossary(pattern):
    paths = sorted(ROOT.glob(pattern))
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group(0)}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in BANNED.finditer(line)
    ]
    assert paths and not found, "\n".join(found[:20])


@pytest.mark.parametrize("folder", FOLDERS)
def test_comments_and_docstrings_use_the_terms_of_the_glossary(folder):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match.group(0)}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in prose_of(path)
        for match in BANNED.finditer(text)
    ]
    assert not found, "\n".join(found[:20])
