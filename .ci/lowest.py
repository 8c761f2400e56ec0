"""Constraints at the lower end of every range in pyproject.toml, one a line.

`python .ci/lowest.py test` covers the dependencies and those of the extra `test`.
Markers are kept, so that pip applies each line to the Python it is written for.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\d.]+)[^;]*(?P<marker>;.*)?")


def lowest_versions(project: dict[str, Any], extras: list[str]) -> Iterator[str]:
    """Yield `name==version; marker` for the dependencies and those of the extras."""
    own_extra = re.compile(rf"{project['name']}\[(?P<extras>[\w,-]+)\]")
    requirements = list(project["dependencies"])
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    for requirement in requirements:
        if nested := own_extra.fullmatch(requirement):
            yield from lowest_versions(project | {"dependencies": []}, nested["extras"].split(","))
        elif bound := REQUIREMENT.fullmatch(requirement):
            yield f"{bound['name']}=={bound['version']}{bound['marker'] or ''}"
        else:
            sys.exit(f"pyproject.toml: {requirement!r} has no lower bound; write name>=version")


if __name__ == "__main__":
    print(*lowest_versions(tomllib.loads(PYPROJECT.read_text())["project"], sys.argv[1:]), sep="\n")
