"""Steering vectors in model repositories of the Hugging Face hub.

A push writes the given .safetensors files and a model card in one commit, and deletes nothing. A
pull reads .safetensors files of one commit, and writes none before all of them were read and their
content hashes were found right. Nothing is ever unpickled.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.files.atomic import atomic_write_all
from tonearm.files.temporary_folder import temporary_folder
from tonearm.files.text_file import MIB
from tonearm.loading import HUB_ID
from tonearm.sharing.hub_client import (
    check_repository,
    check_revision,
    check_token,
    client,
    one_line_errors,
)
from tonearm.sharing.model_card import Card, base_models_of, card_text, licences_of
from tonearm.steering.bundle_file import is_bundle, load_vectors
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import MAX_BYTES, SUFFIX
from tonearm.text import name_fault, quoted

CARD = "README.md"
MAIN = "main"  # revision that a new repository has
MAX_FILES = 1000  # of one push or pull
UNKNOWN_LICENCE = "unknown"
OTHER_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".npy", ".gguf", ".json", ".md", ".py")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,59}")


@dataclass(frozen=True)
class Pushed:
    """Files in a repository after a push; `url` is the page of the repository."""

    repository: str
    url: str
    commit: str
    tag: str | None
    files: tuple[str, ...]


@dataclass(frozen=True)
class Pulled:
    """Files that a pull wrote, with their vectors by name, and the commit that they are of."""

    repository: str
    commit: str
    files: Mapping[Path, Mapping[str, SteeringVector]]


def push(
    repository: str,
    files: Sequence[str | os.PathLike[str]],
    *,
    private: bool = False,
    revision: str | None = None,
    tag: str | None = None,
    licence: str | None = None,
    base_model: str | None = None,
    api: Any = None,
) -> Pushed:
    """Write vector files and a model card into a model repository, in one commit.

    The repository is made where there is none. The files are the whole content of a release, so that
    the card is true and a tag pins it: a repository that holds other .safetensors files is refused.

    Args:
        repository: owner/name.
        files: vector files and bundles.
        private: make the repository a private one; of one that exists, require that it is private.
        revision: branch that is written; default: main.
        tag: new git tag of the commit.
        licence: identifier that the hub knows, such as cc-by-nc-4.0. Default: that of the checkpoint.
        base_model: hub id of the checkpoint; default: its name, where that is a hub id.
        api: a `huggingface_hub.HfApi`; default: one with the token of this machine's user.

    Raises:
        TonearmError: a file that is no vector, a repository or a tag that cannot be written, no
            token, or no network.
    """
    check_repository(repository)
    private = boundary.flag(private, "private")
    for what, name in (("revision", revision), ("tag", tag)):
        check_revision(what, name)
    contents, card = _release(repository, files, licence, base_model, tag)
    if api is None:
        api = client()
    check_token(api)
    from huggingface_hub import CommitOperationAdd

    with one_line_errors(repository, revision):
        _prepare(api, repository, private, revision, tag, set(contents))
        contents[CARD] = card_text(card).encode()
        done = api.create_commit(
            repository,
            [CommitOperationAdd(name, content) for name, content in contents.items()],
            commit_message=f"Add {', '.join(card.files)}"[:200],
            repo_type="model",
            revision=revision,
        )
        if tag is not None:
            api.create_tag(repository, tag=tag, revision=done.oid, repo_type="model")
    url = f"{getattr(api, 'endpoint', 'https://huggingface.co')}/{repository}"
    return Pushed(repository, url, done.oid, tag, tuple(contents))


def _release(
    repository: str,
    files: Sequence[str | os.PathLike[str]],
    licence: str | None,
    base_model: str | None,
    tag: str | None,
) -> tuple[dict[str, bytes], Card]:
    """Contents of the files by name, and the card."""
    paths = [
        Path(one) for one in boundary.sequence(files, "files", boundary.path, "a list of paths")
    ]
    if not 1 <= len(paths) <= MAX_FILES:
        raise TonearmError(f"a push of {len(paths)} files; give 1 to {MAX_FILES}")
    contents: dict[str, bytes] = {}
    vectors: dict[str, Mapping[str, SteeringVector]] = {}
    for path in paths:
        if path.suffix != SUFFIX:
            raise TonearmError(
                f"cannot push {path}: it does not end in {SUFFIX}; give vector files"
            )
        if fault := name_fault(path.stem):
            raise TonearmError(f"cannot push {path}: its name {fault}; rename it")
        if path.name in vectors:
            raise TonearmError(f"two files are called {path.name}; rename one of them")
        vectors[path.name] = load_vectors(path)
        contents[path.name] = path.read_bytes()
    every = [vector for named in vectors.values() for vector in named.values()]
    bundles = frozenset(path.name for path in paths if is_bundle(path))
    chosen = _licence(every, licence)
    if base_model is not None and not HUB_ID.fullmatch(boundary.text(base_model, "base_model")):
        raise TonearmError(f"the base model {quoted(base_model)} is no hub id; write owner/name")
    bases = base_models_of(every) if base_model is None else [base_model]
    return contents, Card(repository, vectors, bundles, bases, chosen, tag)


def _licence(vectors: Sequence[SteeringVector], given: str | None) -> str:
    if given is not None:
        if not _LICENCE.fullmatch(boundary.text(given, "licence")):
            raise TonearmError(
                f"the licence {quoted(given)} is not possible; write it as the hub does, such as "
                "cc-by-nc-4.0, apache-2.0 or other"
            )
        return given
    known = licences_of(vectors)
    if len(known) > 1:
        raise TonearmError(
            f"the checkpoints of these vectors have several licences ({', '.join(known)}); "
            "give one with --licence, or push them to two repositories"
        )
    return known[0] if known else UNKNOWN_LICENCE


def _prepare(
    api: Any, repository: str, private: bool, revision: str | None, tag: str | None, names: set[str]
) -> None:
    """Make the repository, or check that an existing one can take the release."""
    if not api.repo_exists(repository, repo_type="model"):
        if revision not in (None, MAIN):
            raise TonearmError(
                f"{repository} does not exist yet, so that it has no revision {quoted(revision)}; "
                "push without a revision first"
            )
        api.create_repo(repository, private=private, repo_type="model")
        return
    info = api.model_info(repository, revision=revision)
    if private and not info.private:
        raise TonearmError(
            f"{repository} exists and is public; make it private in its settings on the hub, or "
            "leave out --private"
        )
    others = [one.rfilename for one in info.siblings or ()]
    others = sorted(one for one in others if one.endswith(SUFFIX) and one not in names)
    if others:
        raise TonearmError(
            f"{repository} also holds {shortened(', '.join(others))}; pull and push them too, since "
            "a push is a whole release, or choose another repository"
        )
    if tag is not None:
        refs = api.list_repo_refs(repository, repo_type="model")
        if tag in [one.name for one in refs.tags]:
            raise TonearmError(
                f"{repository} has a tag {quoted(tag)} already, and tags are not moved; "
                "choose another"
            )


def pull(
    repository: str,
    names: Sequence[str] = (),
    *,
    revision: str | None = None,
    folder: str | os.PathLike[str] = ".",
    force: bool = False,
    api: Any = None,
) -> Pulled:
    """Read vector files of a model repository, and write them into a folder: all or none.

    A vector of another checkpoint is refused when it is used, not here.

    Args:
        repository: owner/name.
        names: of files, with or without .safetensors. Default: all that are in no subfolder.
        revision: tag, branch or commit; default: main.
        folder: that takes the files.
        force: overwrite existing files.
        api: a `huggingface_hub.HfApi`; default: one with the token of this machine's user, if any.

    Raises:
        TonearmError: no such repository, revision or file; a file that is no vector, or damaged; a
            file that exists; no network.
    """
    check_repository(repository)
    check_revision("revision", revision)
    wanted = [
        _plain_name(name)
        for name in boundary.sequence(names, "names", boundary.text, "a list of names")
    ]
    folder = Path(boundary.path(folder, "folder"))
    if api is None:
        api = client()
    with one_line_errors(repository, revision):
        info = api.model_info(repository, revision=revision, files_metadata=True)
    sizes = _listed(repository, info.siblings or ())
    chosen = _chosen(repository, sizes, wanted)
    targets = [folder / name for name in chosen]
    existing = [path for path in targets if path.exists()]
    if existing and not boundary.flag(force, "force"):
        raise TonearmError(
            f"{existing[0]} exists already; choose another folder, or overwrite it with --force"
        )
    with temporary_folder() as temporary:
        read: dict[Path, Mapping[str, SteeringVector]] = {}
        sources = []
        for name, target in zip(chosen, targets, strict=True):
            with one_line_errors(repository, revision):
                file = api.hf_hub_download(
                    repository, name, repo_type="model", revision=info.sha, local_dir=temporary
                )
            sources.append(Path(file))
            read[target] = _verified(repository, name, sources[-1])
        with atomic_write_all(targets) as asides:
            for source, aside in zip(sources, asides, strict=True):
                shutil.copyfile(source, aside)
    return Pulled(repository, info.sha, read)


def _plain_name(name: str) -> str:
    """Name of a .safetensors file that the user wants, with its ending."""
    stem = name.removesuffix(SUFFIX)
    if fault := name_fault(stem):
        raise TonearmError(
            f"the name {quoted(name)} {fault}; give the name of a file in the repository, without "
            "a folder"
        )
    if stem == name and Path(name).suffix.lower() in OTHER_ENDINGS:
        raise TonearmError(f"{quoted(name)} is no {SUFFIX} file; only those are pulled")
    return stem + SUFFIX


def _listed(repository: str, siblings: Sequence[Any]) -> dict[str, int]:
    """Sizes of the .safetensors files at the top of a repository."""
    found = {}
    for one in siblings:
        name = one.rfilename
        parts = re.split(r"[/\\]", name)
        if ".." in parts or parts[0] in ("", "~") or ":" in parts[0]:
            raise TonearmError(
                f"{repository} lists the path {quoted(name)}, which leads out of its folder; "
                "do not use this repository"
            )
        if len(parts) == 1 and name.endswith(SUFFIX) and not name_fault(name.removesuffix(SUFFIX)):
            found[name] = one.size or 0
    return found


def _chosen(repository: str, sizes: Mapping[str, int], wanted: Sequence[str]) -> list[str]:
    """Files to be pulled, after a check of their number and sizes."""
    there = ", ".join(name.removesuffix(SUFFIX) for name in sizes)
    if not sizes:
        raise TonearmError(f"{repository} holds no {SUFFIX} files; choose another repository")
    for name in wanted:
        if name not in sizes:
            raise TonearmError(f"{repository} holds no {name}; there are {shortened(there)}")
    chosen = list(dict.fromkeys(wanted)) or sorted(sizes)
    if len(chosen) > MAX_FILES:
        raise TonearmError(
            f"{repository} holds {len(chosen)} files; name at most {MAX_FILES} of them"
        )
    for name in chosen:
        if sizes[name] > MAX_BYTES:
            raise TonearmError(
                f"{name} of {repository} is larger than {MAX_BYTES // MIB} MiB, the limit of a file "
                "of vectors; name the others"
            )
    return chosen


def _verified(repository: str, name: str, path: Path) -> dict[str, SteeringVector]:
    """Vectors of a downloaded file, whose content hashes are those that it states."""
    try:
        return load_vectors(path)
    except TonearmError as error:
        reason = str(error).replace(str(path), f"{name} of {repository}")
        raise TonearmError(f"{reason}; nothing was written") from None


def split_revision(text: str) -> tuple[str, str | None]:
    """Split `owner/name@revision`; the revision is None where there is none."""
    repository, mark, revision = text.partition("@")
    return repository, revision if mark else None
