"""tonearm vectors pull: a model repository of the Hugging Face hub -> vector files."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import new_table, out, print_facts, print_json


def pull(
    repository: Annotated[
        str,
        typer.Argument(
            metavar="REPO[@REVISION]",
            help="owner/name on the hub; with a tag, a branch or a commit.",
        ),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Files to pull; default: all vectors."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the new files.")
    ] = Path(),
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Pull vectors from the hub, after a check of their content hashes; all or none."""
    from huggingface_hub.utils import disable_progress_bars

    from tonearm.cli._takes import check_folder
    from tonearm.sharing import hub

    disable_progress_bars()
    check_folder(folder)
    name, revision = hub.split_revision(repository)
    done = hub.pull(name, names or (), revision=revision, folder=folder, force=force)
    if as_json:
        files = {
            str(path): {one: vector.content_hash() for one, vector in vectors.items()}
            for path, vectors in done.files.items()
        }
        print_json({"repository": done.repository, "commit": done.commit, "files": files})
        return
    print_facts({"repository": done.repository, "commit": done.commit})
    table = new_table("wrote", "vector", "made for", "content hash")
    for path, vectors in done.files.items():
        for one, vector in vectors.items():
            info = vector.info
            made_for = f"{info.checkpoint} ({info.fingerprint[:8]})"
            table.add_row(str(path), one, made_for, vector.content_hash()[:12])
    out.print(table)
