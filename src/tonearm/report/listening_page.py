"""Page of a listening test: one HTML file, and a script for each stimulus that it loads when needed.

Stimuli are scripts since a page that is opened as a file may read no other files. Audio is decoded
by the page and mixed by Web Audio, so that a switch keeps the position to the sample. The page
loads nothing from other hosts, runs no other inline script, and knows stimuli by random names alone.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tonearm.files.atomic import atomic_write
from tonearm.report.page_parts import content_hash, environment, template

AUDIO = "audio"  # folder of the stimuli, beside the page
CODE = ("listen.html", "page.css", "listen.css", "mixer.js", "shortcuts.js", "listen.js")
SCALE = ("Excellent", "Good", "Fair", "Poor", "Bad")  # ITU-R BS.1534-3


def write_page(folder: Path, test: Mapping[str, Any], digest: str) -> Path:
    """Write `folder`/index.html.

    Args:
        folder: of the page.
        test: definition of the test, as JSON.
        digest: of the test, for the results.

    Returns:
        The path of the page.

    Raises:
        TonearmError: the folder cannot be written.
    """
    from markupsafe import Markup

    script = template("mixer.js") + template("shortcuts.js") + template("listen.js")
    style = template("page.css") + template("listen.css")
    page = (
        environment()
        .get_template("listen.html")
        .render(
            test=test,
            data={**test, "digest": digest, "folder": AUDIO},
            scale=SCALE,
            style=Markup(style),
            style_hash=content_hash(style),
            script=Markup(script),
            script_hash=content_hash(script),
            version=version("tonearm"),
        )
    )
    path = folder / "index.html"
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def audio_script(name: str, content: str, padding: str) -> str:
    """Script that gives the page a stimulus.

    Args:
        name: of the stimulus.
        content: base64 of its FLAC file.
        padding: of any length, so that the size does not show which stimuli are equal.
    """
    return f'tonearmAudio("{name}", "{content}"); // {padding}\n'


@cache
def page_code_digest() -> str:
    """sha256 of the code of the page."""
    return sha256("".join(map(template, CODE)).encode("utf-8")).hexdigest()
