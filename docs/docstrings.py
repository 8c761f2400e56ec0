"""Griffe extension: aligned definitions in docstrings become lists.

Docstrings list fields as aligned columns, which Markdown would join into one paragraph:

    clip        audio, the audio prompt included
    codes       int64 [K, T]
"""

import re
from typing import Any

import griffe

FIRST = re.compile(r"(?P<names>[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*)(?P<gap> {2,})(?P<text>\S.*)")
SECTION = re.compile(r"[A-Z]\w+:$")


class AlignedDefinitions(griffe.Extension):
    """Rewrites the docstring of every object."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            obj.docstring.value = with_lists(obj.docstring.value)


def with_lists(docstring: str) -> str:
    """Replace runs of aligned definitions by Markdown lists; indented text stays as it is."""
    written: list[str] = []
    column = None  # of the definitions' texts, within a run
    for line in docstring.splitlines():
        found = FIRST.fullmatch(line)
        if found and column in (None, found.start("text")):
            if column is None and written and written[-1]:
                written.append("")
            column = found.start("text")
            names = ", ".join(f"`{name}`" for name in found["names"].split(", "))
            written.append(f"- {names}: {found['text']}")
        elif column and line.startswith(" " * column):
            written[-1] += " " + line.strip()
        else:
            if column and line and not SECTION.fullmatch(line):
                written.append("")
            column = None
            written.append(line)
    return "\n".join(written)
