"""The documentation site: strict build, no other hosts, and links rewritten for the site."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

import tonearm
from tests.docs.pages import ROOT


def module_of(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hooks():
    return module_of("hooks")


@pytest.mark.parametrize(
    ("page", "link", "on_site"),
    [
        ("index.md", "[c](../CONTRIBUTING.md)", "[c](contributing.md)"),
        (
            "index.md",
            "[c](../src/tonearm/assets/pocket/README.md#limits)",
            "[c](model-cards/pocket.md#limits)",
        ),
        (
            "studies/effects.md",
            "[e](../../src/tonearm/assets/evaluators/README.md)",
            "[e](../model-cards/evaluators.md)",
        ),
        ("contributing.md", "[s](docs/steering.md)", "[s](steering.md)"),
        ("model-cards/pocket.md", "[log](../../../../recipes/pocket/LOG.md)", "log"),
        ("model-cards/evaluators.md", "![c](confusion.png)", "![c](confusion.png)"),
        ("concepts.md", "[p](performance.md)", "[p](performance.md)"),
        (
            "concepts.md",
            "[a](https://arxiv.org/abs/2504.04479)",
            "[a](https://arxiv.org/abs/2504.04479)",
        ),
        ("concepts.md", "`[a](../README.md)`", "`[a](../README.md)`"),
    ],
)
def test_links_lead_to_pages_of_the_site(hooks, page, link, on_site):
    class File:
        src_uri = page

    class Page:
        file = File

    assert hooks.on_page_markdown(f"See {link}.", Page, None, None) == f"See {on_site}."


def test_the_api_index_lists_every_public_name():
    table = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\[`(\w+)`\]", table)) == set(tonearm.__all__)


def test_aligned_definitions_in_docstrings_become_lists():
    docstring = """Result.

a, b  first
bcd   second,
      continued
Raises:
    TonearmError: no result"""
    written = module_of("docstrings").with_lists(docstring).splitlines()
    assert written[1:5] == ["", "- `a`, `b`: first", "- `bcd`: second, continued", "Raises:"]
    assert written[-1] == "    TonearmError: no result"


def test_prose_and_tables_in_docstrings_are_unchanged():
    docstring = """Text.

| a | b |
|---|---|

    x  = 1
Two words in  a sentence."""
    assert module_of("docstrings").with_lists(docstring) == docstring


def test_the_site_builds_without_warnings_and_loads_nothing_from_other_hosts(tmp_path):
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path),
    ]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert {"index.html", "contributing.html", "changelog.html"} <= {page.name for page in pages}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text)
        assert not [link for link in links if re.search(r"=\"?(https?:)?//", link)], page
