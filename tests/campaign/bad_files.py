"""Bad files and folders: damaged copies of valid ones, and paths that hold no plain file.

Every function takes a seeded generator, the folder of valid materials and an empty folder, writes
what it needs into the latter, and returns a path.
"""

import copy
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.campaign.bad_values import CONTROLS, TEXTS
from tonearm.sharing.gguf_file import Gguf, gguf_bytes, read_gguf

MakePath = Callable[[Random, Path, Path], Path]

# Numbers of file formats: sizes, rates and counts at their limits.
WORDS = (
    *(struct.pack("<I", value) for value in (0, 1, 2**31 - 1, 2**31, 2**32 - 1)),
    struct.pack(">I", 2**31 - 1),
    struct.pack("<d", float("nan")),
    struct.pack("<f", float("inf")),
    struct.pack("<Q", 2**63),
    b"\x1b[2J",
    b"\xff\xfe",
    b"\0" * 8,
)
JSON_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 10**9, 10**18, -(2**63), 1e308, float("nan"), float("inf"),
    "", "x", "a\0b", "\ud800", CONTROLS, "9" * 5_000, "x" * 20_000, "/dev/zero", "../../x", [], {},
    [None], [[]], {"a": 1}, [[1, 2], [0, 1]], ["a"] * 300,
)  # fmt: skip


def damaged_bytes(rng: Random, content: bytes) -> bytes:
    """Content cut, with some bytes changed, or with parts removed, doubled or inserted."""
    size = len(content)
    kind = rng.randrange(7)
    if kind == 0 or not size:
        return content[: rng.randrange(size + 1)]
    if kind == 1:
        return content[: min(size, rng.randrange(64))]
    changed = bytearray(content)
    # Half of the changes are in the header, where the sizes are.
    positions = [rng.randrange(min(size, 80) if rng.random() < 0.5 else size) for _ in range(4)]
    for position in positions[: rng.randrange(1, 5)]:
        if kind == 2:
            changed[position] ^= 1 << rng.randrange(8)
        elif kind == 3:
            word = rng.choice(WORDS)
            changed[position : position + len(word)] = word
        elif kind == 4:
            del changed[position : position + rng.randrange(1, 40)]
        elif kind == 5:
            changed[position:position] = changed[position : position + rng.randrange(1, 400)]
        else:
            changed[position] = rng.randrange(256)
    return bytes(changed)


def damaged_json(rng: Random, content: Any) -> str:
    """JSON text with some values replaced, removed, doubled or renamed, or cut."""
    content = json.loads(json.dumps(content))
    for _ in range(rng.randrange(1, 4)):
        content = _damaged_node(rng, content)
    text = json.dumps(content, allow_nan=True)
    if rng.random() < 0.1:
        return text[: rng.randrange(len(text) + 1)]
    if rng.random() < 0.05:
        return rng.choice(("[" * 100_000, '{"a":' * 20_000, "nul", "", "\ufeff" + text, text * 2))
    return text


def _damaged_node(rng: Random, content: Any) -> Any:
    """Change one value at a random depth; changes the containers in place."""
    if not isinstance(content, dict | list) or not content or rng.random() < 0.02:
        return copy.deepcopy(rng.choice(JSON_VALUES))
    node = content
    while True:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        inner = node[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.75:
            node = inner
            continue
        kind = rng.randrange(6)
        if kind == 0:
            del node[key]
        elif kind == 1 and isinstance(node, dict):
            node[rng.choice(("x", "", CONTROLS, key.upper()))] = node.pop(key)
        elif kind == 2 and isinstance(inner, int | float) and not isinstance(inner, bool):
            node[key] = rng.choice(
                (-inner, inner + 1, inner * 1000, inner / 3, str(inner), inner * 10**9)
            )
        else:
            node[key] = copy.deepcopy(rng.choice(JSON_VALUES))
        return content


def special_path(rng: Random, materials: Path, folder: Path) -> Path:
    """A path that holds no plain file with content."""
    make = rng.choice(SPECIAL)
    suffix = rng.choice(("", ".wav", ".json", ".safetensors", ".npy", ".npz", ".txt", ".csv"))
    return make(folder, suffix)


def _fifo(folder: Path, suffix: str) -> Path:
    path = folder / f"fifo{suffix}"
    os.mkfifo(path)
    return path


def _link(folder: Path, suffix: str, target: str) -> Path:
    path = folder / f"link{suffix}"
    path.symlink_to(target)
    return path


def _inside_a_file(folder: Path, suffix: str) -> Path:
    (folder / "file").write_text("x")
    return folder / "file" / f"x{suffix}"


def _empty_file(folder: Path, suffix: str) -> Path:
    (folder / f"empty{suffix}").touch()
    return folder / f"empty{suffix}"


def _folder(folder: Path, suffix: str) -> Path:
    (folder / f"folder{suffix}").mkdir()
    return folder / f"folder{suffix}"


def _loop_of_folders(folder: Path, suffix: str) -> Path:
    inner = _folder(folder, suffix) / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "up").symlink_to(folder / f"folder{suffix}")
    return folder / f"folder{suffix}"


def _huge_hole(folder: Path, suffix: str) -> Path:
    """A sparse file of 40 GiB."""
    path = folder / f"huge{suffix}"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 40 * 2**30)
    return path


SPECIAL: tuple[Callable[[Path, str], Path], ...] = (
    _fifo,
    lambda folder, suffix: _link(folder, suffix, f"link{suffix}"),
    lambda folder, suffix: _link(folder, suffix, "nowhere"),
    lambda folder, suffix: _link(folder, suffix, "/dev/zero"),
    _inside_a_file,
    _empty_file,
    _folder,
    _loop_of_folders,
    _huge_hole,
    lambda folder, suffix: folder / f"absent{suffix}",
    lambda folder, suffix: folder / f"{'x' * 300}{suffix}",
    lambda folder, suffix: folder / f"{'é' * 120}{suffix}",
    lambda folder, suffix: folder / f"{'d/' * 2500}{suffix}",
    lambda folder, suffix: folder / f"a\0b{suffix}",
    lambda folder, suffix: folder / f"a\udcffb{suffix}",
    lambda folder, suffix: folder / f"{CONTROLS}{suffix}",
    lambda folder, suffix: folder / f"two\nlines{suffix}",
    lambda folder, suffix: Path("/dev/zero"),
    lambda folder, suffix: Path("/dev/null"),
    lambda folder, suffix: Path("/dev/full"),
    lambda folder, suffix: Path("/proc/self/mem"),
    lambda folder, suffix: Path("/proc/self/fd"),
    lambda folder, suffix: Path(),
    lambda folder, suffix: Path(),
    lambda folder, suffix: Path(f"~{suffix}"),
)


def _damaged(rng: Random, materials: Path, folder: Path, names: tuple[str, ...]) -> Path:
    source = materials / rng.choice(names)
    stem = rng.choice((source.stem, source.stem, f"{CONTROLS}", "two\nlines", "a b", "é" * 100))
    suffix = source.suffix if rng.random() < 0.9 else rng.choice((".wav", ".mp3", ".npy", ""))
    path = folder / f"{stem}{suffix}"
    path.write_bytes(damaged_bytes(rng, source.read_bytes()))
    return path


def audio(rng: Random, materials: Path, folder: Path) -> Path:
    """A damaged WAV, FLAC, OGG, MP3 or AIFF file."""
    endings = ("wav", "wav", "flac", "ogg", "mp3", "aiff")
    return _damaged(rng, materials, folder, tuple(f"clicks.{one}" for one in endings))


def odd_audio(rng: Random, materials: Path, folder: Path) -> Path:
    """A whole audio file with an odd rate, length, number of channels or odd samples."""
    import soundfile

    count = rng.choice((0, 1, 2, 30, 800, 8000))
    samples = np.zeros((count, rng.choice((1, 1, 2, 6, 40))), dtype=np.float32)
    kind = rng.randrange(6)
    if kind == 0 and samples.size:
        samples.flat[rng.randrange(samples.size)] = rng.choice((np.nan, np.inf))
    elif kind == 1:
        samples[:] = rng.choice((1e30, -1e30, 1e-30, 0.5, 1.0))
    elif kind == 2:
        samples[:] = np.random.default_rng(rng.randrange(99)).normal(size=samples.shape) * 0.1
    rate = rng.choice((1, 7, 100, 1600, 8000, 44_100, 768_000, 2**31 - 1))
    path = folder / "odd.wav"
    soundfile.write(
        path, samples, rate, subtype=rng.choice(("FLOAT", "DOUBLE", "PCM_16", "PCM_U8"))
    )
    return path


def embeddings(rng: Random, materials: Path, folder: Path) -> Path:
    """A damaged or odd .npy or .npz file."""
    if rng.random() < 0.5:
        return _damaged(rng, materials, folder, ("rows.npy", "rows.npz"))
    shape = rng.choice(((), (0,), (6,), (0, 6), (1, 6), (12, 0), (12, 5), (2, 3, 6), (12, 6)))
    kind = rng.choice(("f2", "f4", "f8", "c8", "i8", "u1", "?", "U3", "O", "M8[s]"))
    array = np.zeros(shape, dtype=kind)
    if kind[0] == "f" and array.size:
        array.flat[0] = rng.choice((np.nan, np.inf, 1e38, 6e4))
    if rng.random() < 0.5:
        np.save(folder / "odd.npy", array, allow_pickle=True)
        return folder / "odd.npy"
    arrays = dict.fromkeys(("arr_0", "rows", "x")[: rng.randrange(4)], array)
    np.savez(folder / "odd.npz", **arrays)
    return folder / "odd.npz"


def _damaged_tensors(rng: Random, source: Path, path: Path) -> Path:
    """A safetensors file with damaged bytes, or with a damaged header of the right length."""
    content = source.read_bytes()
    if rng.random() < 0.3:
        path.write_bytes(damaged_bytes(rng, content))
        return path
    (size,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = header.get("__metadata__", {})
    if metadata and rng.random() < 0.7:  # values of the metadata are JSON in text
        key = rng.choice(list(metadata))
        try:
            metadata[key] = damaged_json(rng, json.loads(metadata[key]))
        except ValueError:
            metadata[key] = str(rng.choice((*TEXTS[:40], "x" * 20_000)))
        text = json.dumps(header)
    else:
        text = damaged_json(rng, header)
    head = text.encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)
    return path


def vector(rng: Random, materials: Path, folder: Path) -> Path:
    return _damaged_tensors(rng, materials / "energy.safetensors", folder / "v.safetensors")


def bundle(rng: Random, materials: Path, folder: Path) -> Path:
    return _damaged_tensors(rng, materials / "pack.safetensors", folder / "p.safetensors")


def member(rng: Random, materials: Path, folder: Path) -> Path:
    """A reference to a vector of a whole or damaged bundle, or to one that it does not hold."""
    path = rng.choice((materials / "pack.safetensors", bundle(rng, materials, folder)))
    name = rng.choice(("energy", "mood", "", "#", "../energy", CONTROLS, "é", "x" * 300))
    return Path(f"{path}#{name}")


def gguf(rng: Random, materials: Path, folder: Path) -> Path:
    """A damaged control vector, or a whole one with odd metadata or tensors."""
    if rng.random() < 0.5:
        return _damaged(rng, materials, folder, ("energy.gguf",))
    content = read_gguf(materials / "energy.gguf")
    metadata, tensors = dict(content.metadata), dict(content.tensors)
    for _ in range(rng.randrange(1, 3)):
        odd = rng.choice((0, 1, 2**32 - 1, True, 1e30, float("nan"), "", "x" * 9_000, *TEXTS[:30]))
        metadata[rng.choice((*metadata, "general.alignment", "glp.derived_at"))] = odd
    name = rng.choice((*tensors, "direction.0", "direction.99999", "direction.1.1", "", CONTROLS))
    tensors[name] = rng.choice(
        (np.ones(32, np.float32), np.ones(0, np.float32), np.full(32, np.nan, np.float32))
    )
    path = folder / "odd.gguf"
    try:
        path.write_bytes(gguf_bytes(Gguf(metadata, tensors)))
    except UnicodeEncodeError:  # a text that GGUF cannot hold
        path.write_bytes(b"GGUF")
    return path


def layers(rng: Random, materials: Path, folder: Path) -> Path:
    return _damaged_tensors(rng, materials / "layers.safetensors", folder / "l.safetensors")


def svec(rng: Random, materials: Path, folder: Path) -> Path:
    shutil.copy(materials / "energy.svec", folder)
    return _rewritten(rng, folder / "energy.svec")


def classifier(rng: Random, materials: Path, folder: Path) -> Path:
    return _damaged_tensors(rng, materials / "kind.safetensors", folder / "k.safetensors")


def autoencoder(rng: Random, materials: Path, folder: Path) -> Path:
    return _damaged_tensors(rng, materials / "sae.safetensors", folder / "a.safetensors")


def sidecar(rng: Random, materials: Path, folder: Path) -> Path:
    """A damaged sidecar beside the files of its take."""
    for file in materials.glob("take*"):
        if file.is_file():
            shutil.copy(file, folder)
    return _rewritten(rng, folder / "take.json")


def listening_key(rng: Random, materials: Path, folder: Path) -> Path:
    shutil.copy(materials / "listening" / "key.json", folder)
    return _rewritten(rng, folder / "key.json")


def listening_result(rng: Random, materials: Path, folder: Path) -> Path:
    shutil.copy(materials / "result.json", folder)
    return _rewritten(rng, folder / "result.json")


def steering(rng: Random, materials: Path, folder: Path) -> Path:
    shutil.copy(materials / "steering.json", folder)
    return _rewritten(rng, folder / "steering.json")


def _rewritten(rng: Random, path: Path) -> Path:
    content = path.read_text()
    if rng.random() < 0.15:
        path.write_bytes(damaged_bytes(rng, content.encode()))
    else:
        text = damaged_json(rng, json.loads(content))
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return path


def prompts(rng: Random, materials: Path, folder: Path) -> Path:
    """A file of prompts with odd lines, or damaged."""
    path = folder / rng.choice(("prompts.txt", "prompts.csv", "prompts.jsonl", "two\nlines.txt"))
    lines = [
        rng.choice((*TEXTS, "a fast tune", '{"prompt": "x"}')) for _ in range(rng.randrange(4))
    ]
    text = rng.choice(("\n", "\r\n", "\r", "\0\n")).join(line[:2_000] for line in lines)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    path.write_bytes(text.encode(encoding, "surrogatepass" if "utf" in encoding else "replace"))
    return path


def texts(rng: Random, materials: Path, folder: Path) -> Path:
    """A damaged table of texts."""
    source = materials / rng.choice(("texts.csv", "texts.jsonl"))
    path = folder / source.name
    if source.suffix == ".jsonl" and rng.random() < 0.6:
        rows = source.read_text().splitlines()
        content = "\n".join(damaged_json(rng, json.loads(row)) for row in rows)
        path.write_text(content, encoding="utf-8", errors="surrogatepass")
    else:
        path.write_bytes(damaged_bytes(rng, source.read_bytes()))
    return path


def _damaged_folder(rng: Random, source: Path, path: Path) -> Path:
    """A checkpoint folder with one file damaged or absent."""
    shutil.copytree(source, path)
    file = path / rng.choice(sorted(one.name for one in source.iterdir()))
    kind = rng.random()
    if kind < 0.1:
        file.unlink()
    elif kind < 0.15:
        file.unlink()
        file.symlink_to(rng.choice((file.name, "/dev/zero", "nowhere", ".")))
    elif kind < 0.2:
        (path / rng.choice(("pytorch_model.bin", "model.safetensors.index.json"))).write_text("x")
    elif file.suffix == ".json":
        _rewritten(rng, file)
    else:
        _damaged_tensors(rng, file, file)
    return path


def checkpoint(rng: Random, materials: Path, folder: Path) -> Path:
    return _damaged_folder(rng, materials / "checkpoint", folder / "checkpoint")


def clap(rng: Random, materials: Path, folder: Path) -> Path:
    return _damaged_folder(rng, materials / "clap", folder / "clap")


def corpus(rng: Random, materials: Path, folder: Path) -> Path:
    """A labelled corpus with one fault."""
    path = folder / "corpus"
    shutil.copytree(materials / "corpus", path)
    kind = rng.randrange(7)
    if kind == 0:
        shutil.rmtree(path / "tone")
    elif kind == 1:
        (path / "tone" / "loop").symlink_to(path)
    elif kind == 2:
        (path / "tone").rename(path / rng.choice((CONTROLS, "two\nlines", "é" * 100, "{}")))
    elif kind == 3:
        table = rng.choice(("metadata.csv", "metadata.jsonl"))
        rows = "file_name,label\ntone/0.wav,tone\nnoise/0.wav,noise\n"
        (path / table).write_bytes(damaged_bytes(rng, rows.encode()))
    elif kind == 4:
        shutil.copy(audio(rng, materials, folder), path / "tone")
    elif kind == 5:
        special = special_path(rng, materials, folder)
        if special.parent == folder and len(special.name.encode("utf-8", "replace")) < 200:
            with_link = path / "tone" / "special.wav"
            with_link.symlink_to(special if "\0" not in str(special) else folder)
    else:
        for file in list((path / "tone").iterdir())[1:]:
            file.unlink()
    return path


def output(rng: Random, materials: Path, folder: Path) -> Path:
    """A path that cannot be written, or is odd."""
    kinds = ("x.mp3", "x", ".wav", "x.WAV", "a/b/c.wav", "x.wav/", "é" * 120 + ".wav", "x" * 201 + ".wav",
             "two\nlines.wav", f"{CONTROLS}.ogg", "a\0.wav", "a\udcff.wav", "x" * 300 + ".wav", "-x.wav",
             "x.json", "x.json.wav", ".", "..", "x.flac", "con.wav", " .wav", "x. wav")  # fmt: skip
    if rng.random() < 0.35:
        return special_path(rng, materials, folder)
    return folder / rng.choice(kinds)
