"""Fingerprint of a checkpoint: a hash over all its weights and the files that decide its output.

A steering vector or a sidecar with another fingerprint belongs to other weights or other settings.
The fingerprint depends neither on the split of the weights into files, nor on the order of the
keys in a JSON file, nor on the release that wrote them.

Hashing reads the weights once more, about 1 s per GB and core. The digest of large weights is
therefore stored in the cache folder, under the identity of their files: device, inode, size, and
the times of the last change.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.files.cache_folder import cache_folder
from tonearm.loading import REDUNDANT, find_file, original_name, weight_files

DIGITS = 16
STORED_FROM_BYTES = 256 * 2**20  # smaller weights are hashed in less than a second
SETTLED_NS = 2 * 10**9  # a change within the resolution of the file system's clock cannot be seen
# A tensor that some files hold twice, and its original.
TIED = {"text_encoder.encoder.embed_tokens.weight": "text_encoder.shared.weight"}
# Record who wrote a JSON file, at any depth.
WRITER_KEYS = {"_name_or_path", "_commit_hash", "transformers_version"}

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "vocab.json",
    "merges.txt",
)


def fingerprint(source: str, files: Sequence[str], settings: Any = None) -> str:
    """Hash the weights and the given files of a checkpoint.

    Args:
        source: folder, or cached hub id.
        files: names of the files that decide the output beside the weights; absent ones count as
            absent.
        settings: JSON value that decides the output as well.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps(settings).encode())
    digest.update(weights_digest(weight_files(source)).encode())
    for name in files:
        path = find_file(source, name)
        content = b"absent" if path is None else _content(path)
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:DIGITS]


def weights_digest(files: Sequence[Path]) -> str:
    """sha256 (hexadecimal) over every tensor of some weight files, from the cache where the files
    are large and unchanged.
    """
    stats = [path.stat() for path in files]
    if sum(stat.st_size for stat in stats) < STORED_FROM_BYTES:
        return _hash_weights(files)
    identity = [
        (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        for stat in stats
    ]
    key = hashlib.sha256(repr(identity).encode()).hexdigest()
    entry = cache_folder() / "weights" / key
    if (stored := _read_entry(entry)) is not None:
        return stored
    found = _hash_weights(files)
    newest = max(max(stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats)
    if time.time_ns() - newest > SETTLED_NS:
        _write_entry(entry, found)
    return found


def _hash_weights(files: Sequence[Path]) -> str:
    """Digest of names, types, shapes and bytes, whichever file holds a tensor."""
    import safetensors

    found: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in files:
            if path.suffix == ".safetensors":
                with safetensors.safe_open(path, framework="pt") as file:
                    names = [name for name in file.keys() if not REDUNDANT.search(name)]  # noqa: SIM118
                    digests = pool.map(lambda name, file=file: _hash_tensor(file, name), names)
                    found |= zip(map(original_name, names), digests, strict=True)
            else:
                with path.open("rb") as stream:
                    found[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    for copy, original in TIED.items():
        if copy in found and found[copy] == found.get(original):
            del found[copy]
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _hash_tensor(file: Any, name: str) -> str:
    import torch

    tensor = file.get_tensor(name).contiguous()
    digest = hashlib.sha256(tensor.flatten().view(torch.uint8).numpy())
    return f"{tensor.dtype} {tuple(tensor.shape)} {digest.hexdigest()}"


def _content(path: Path) -> bytes:
    """Content of a file; JSON without the keys that record its writer, and with sorted keys."""
    content = path.read_bytes()
    if path.suffix != ".json":
        return content
    return json.dumps(_without_writer(json.loads(content)), sort_keys=True).encode()


def _without_writer(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_writer(one) for key, one in value.items() if key not in WRITER_KEYS}
    return [_without_writer(one) for one in value] if isinstance(value, list) else value


def _read_entry(entry: Path) -> str | None:
    """The stored digest; None where it is absent or damaged."""
    try:
        stored = entry.read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    is_digest = len(stored) == 64 and set(stored) <= set("0123456789abcdef")
    return stored if is_digest else None


def _write_entry(entry: Path, digest: str) -> None:
    """Store a digest; a folder that cannot be written costs time and nothing else."""
    try:
        with atomic_write(entry) as temporary:
            temporary.write_text(digest, encoding="ascii")
    except TonearmError:
        pass
