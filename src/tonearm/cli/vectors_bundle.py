"""tonearm vectors bundle: several steering vectors -> one file."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_json
from tonearm.cli._takes import check_outputs
from tonearm.cli._vector_files import named_vectors
from tonearm.errors import TonearmError
from tonearm.text import quoted


def bundle(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Vector files, bundles, pack.safetensors#tempo, or names of bundled vectors.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The new bundle.")],
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Write several vectors into one file, each under the name of its own file."""
    from tonearm.steering import save_bundle
    from tonearm.steering.vector_file import vector_file

    path = vector_file(output)
    check_outputs([path], force)
    found = {}
    for file in files:
        for name, vector in named_vectors(file).items():
            if name in found:
                raise TonearmError(
                    f"two vectors are called {quoted(name)}; rename the file of one of them"
                )
            found[name] = vector
    save_bundle(found, path)
    if as_json:
        hashes = {name: vector.content_hash() for name, vector in found.items()}
        print_json({"file": str(path), "content_hashes": hashes})
    else:
        count = f"{len(found)} vectors" if len(found) > 1 else "1 vector"
        out.print(
            f"wrote {path} with {count}; steer with {path}#{next(iter(found))}=+1", soft_wrap=True
        )
