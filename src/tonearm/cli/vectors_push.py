"""tonearm vectors push: vector files -> a model repository of the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_facts, print_json


def push(
    repository: Annotated[str, typer.Argument(metavar="REPO", help="owner/name on the hub.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Vector files and bundles.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository a private one.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option("--revision", metavar="BRANCH", help="Branch to write; default: main."),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option("--tag", metavar="TAG", help="New git tag, by which others pin the files."),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            metavar="ID",
            help="Licence of the vectors, as the hub names it; default: that of the checkpoint.",
        ),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            "--base-model",
            metavar="ID",
            help="Hub id of the checkpoint, where the vectors do not name it.",
        ),
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """Push vectors with a model card to the hub, in one commit that a tag can pin."""
    from huggingface_hub.utils import disable_progress_bars

    from tonearm.sharing import hub

    disable_progress_bars()
    done = hub.push(
        repository,
        files,
        private=private,
        revision=revision,
        tag=tag,
        licence=licence,
        base_model=base_model,
    )
    if as_json:
        print_json(
            {
                "repository": done.repository,
                "url": done.url,
                "commit": done.commit,
                "tag": done.tag,
                "files": list(done.files),
            }
        )
        return
    print_facts({"files": "\n".join(done.files), "commit": done.commit, "page": done.url})
    pinned = f"{done.repository}@{done.tag or done.commit}"
    out.print(f"others get them with: tonearm vectors pull {pinned}", soft_wrap=True)
