"""tonearm vectors unbundle: a bundle -> one file per steering vector."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_json
from tonearm.cli._takes import check_outputs


def unbundle(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")],
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the new vector files."),
    ] = Path(),
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Write every vector of a bundle into a file of its own, all or none."""
    from tonearm.files.atomic import atomic_write_all
    from tonearm.steering import load_bundle
    from tonearm.steering.vector_file import SUFFIX, vector_bytes

    found = load_bundle(file)
    paths = [folder / f"{name}{SUFFIX}" for name in found]
    check_outputs(paths, force)
    with atomic_write_all(paths) as asides:
        for aside, vector in zip(asides, found.values(), strict=True):
            aside.write_bytes(vector_bytes(vector))
    if as_json:
        hashes = {
            str(path): vector.content_hash()
            for path, vector in zip(paths, found.values(), strict=True)
        }
        print_json({"content_hashes": hashes})
    else:
        out.print(f"wrote {', '.join(map(str, paths))}", soft_wrap=True)
