"""MkDocs hook: pages from files outside docs/, and links for both the repository and the site.

Markdown links are written for the repository. On the site a link to a file that is also a page
leads to that page, and a link to any other file of the repository becomes plain text. A link to a
file that does not exist is a warning, and `mkdocs build --strict` then fails.
"""

import logging
import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.tonearm")

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = PurePosixPath("docs")
# file of the repository -> page of the site
OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "src/tonearm/assets/pocket/README.md": "model-cards/pocket.md",
    "src/tonearm/assets/evaluators/README.md": "model-cards/evaluators.md",
}
IMAGES = (".png", ".svg", ".jpg")

CODE = re.compile(
    r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[ \t]*$|(?<!`)(`+)(?!`).+?(?<!`)\2(?!`)",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|#|/", re.IGNORECASE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and images from outside docs/."""
    for source, page in OUTSIDE.items():
        text = (REPOSITORY / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
        for found in LINK.finditer(text):
            image = _resolved(PurePosixPath(source), found["target"])
            if found["image"] and image is not None and not image.is_relative_to(DOCS):
                content = (REPOSITORY / image).read_bytes()
                files.append(
                    File.generated(
                        config, str(PurePosixPath(page).parent / image.name), content=content
                    )
                )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of one page, outside its code."""
    pieces, end = [], 0
    for code in CODE.finditer(markdown):
        pieces += [_with_site_links(markdown[end : code.start()], page.file.src_uri), code[0]]
        end = code.end()
    return "".join([*pieces, _with_site_links(markdown[end:], page.file.src_uri)])


def _with_site_links(text: str, page: str) -> str:
    return LINK.sub(lambda found: _site_link(found, page), text)


def _site_link(found: re.Match[str], page: str) -> str:
    target, _, anchor = found["target"].partition("#")
    if EXTERNAL.match(found["target"]):
        return found[0]
    source = PurePosixPath(
        next((file for file, at in OUTSIDE.items() if at == page), str(DOCS / page))
    )
    path = _resolved(source, target)
    if path is None:
        log.warning("%s: the link to %r leads to no file of the repository", source, target)
        return found[0]
    if str(path) in OUTSIDE:
        on_site = OUTSIDE[str(path)]
    elif path.is_relative_to(DOCS) and (REPOSITORY / path).is_file():
        on_site = str(path.relative_to(DOCS))
    elif found["image"] and path.suffix in IMAGES:
        return f"![{found['text']}]({path.name})"
    else:
        return found["text"]
    relative = os.path.relpath(on_site, PurePosixPath(page).parent)
    return f"{found['image']}[{found['text']}]({relative}{'#' + anchor if anchor else ''})"


def _resolved(source: PurePosixPath, target: str) -> PurePosixPath | None:
    """Path within the repository of a link in the file `source`; None for an absent file."""
    path = PurePosixPath(os.path.normpath(source.parent / target.partition("#")[0]))
    return path if (REPOSITORY / path).exists() else None
