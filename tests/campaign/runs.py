"""A whole run of every command in a folder of its own, and checks of the files that it leaves."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from matplotlib.image import imread

from tests.campaign.materials import (
    LOUD,
    PROMPT,
    SECONDS,
    SEGMENT,
    TINY_TRAINING,
    Materials,
)
from tonearm.activations.store import INDEX, read_index, read_shard_info
from tonearm.audio import WRITABLE, Clip
from tonearm.cli.sae.train import CLIPS
from tonearm.features.trained import is_autoencoder, load_autoencoder
from tonearm.features.training_state import FILE as UNFINISHED
from tonearm.generation.provenance import read_sidecar
from tonearm.hashing import hash_clip
from tonearm.measures import load_classifier
from tonearm.measures.classifier import is_classifier
from tonearm.report.comparison_page import PAGE
from tonearm.report.probe_results import FIGURE, RESULT
from tonearm.sharing.gguf_file import read_gguf
from tonearm.steering import load_vector
from tonearm.steering.bundle_file import load_vectors

OUT = "out"  # folder of the files that a command writes, in its working directory
CACHE = "cache"
LINK = re.compile(r'(?:src|href)="([^"#:]+)"')

Line = Callable[[Materials, int], list[Any]]


def _short(m: Materials, seed: int) -> list[Any]:
    return ["--seconds", SECONDS, "--seed", seed, "--model", m.checkpoint]


def _steer(m: Materials) -> list[Any]:
    return ["--steer", f"{m.file('energy.safetensors')}=raw:0.5"]


def _clap(m: Materials) -> list[Any]:
    return ["--clap", m.clap]


# Commands that write files into OUT.
WRITING: dict[str, Line] = {
    "generate": lambda m, seed: [
        "generate", PROMPT, "-n", 2, "-o", f"{OUT}/take.wav", *_steer(m), *_short(m, seed),
    ],
    "generate-flac": lambda m, seed: [
        "generate", PROMPT, "-o", f"{OUT}/take.flac", *_short(m, seed),
    ],
    "generate-ogg": lambda m, seed: ["generate", PROMPT, "-o", f"{OUT}/take.ogg", *_short(m, seed)],
    "compare": lambda m, seed: ["compare", PROMPT, "--out", OUT, *_steer(m), *_short(m, seed)],
    "learn": lambda m, seed: [
        "learn", "mood", "-o", f"{OUT}/mood", "--positive", m.file("positive.txt"), "--negative",
        m.file("negative.txt"), "--model", m.checkpoint, "--pooling", "mean", "--seed", seed,
    ],
    "learn-audio": lambda m, seed: [
        "learn", "mood", "-o", f"{OUT}/mood", "--audio", m.file(LOUD), "--label", "tone",
        "--segment", SEGMENT, "--model", m.checkpoint,
    ],
    "probe": lambda m, seed: [
        "probe", m.file(LOUD), "--out", OUT, "--segment", SEGMENT, "--model", m.checkpoint,
        "--method", "diffmean",
    ],
    "sae-train": lambda m, seed: [
        "sae", "train", OUT, "--layer", 1, "--prompts", m.file("positive.txt"), "--seconds", SECONDS,
        "--model", m.checkpoint, *(f"--{name.replace('_', '-')}={n}" for name, n in TINY_TRAINING.items()),
    ],
    "sae-vector": lambda m, seed: [
        "sae", "vector", m.file("sae.safetensors"), seed, "-o", f"{OUT}/feature",
    ],
    "classifier": lambda m, seed: [
        "classifier", f"{OUT}/kind", m.corpus, "--seed", seed, *_clap(m),
    ],
    "vectors-bundle": lambda m, seed: [
        "vectors", "bundle", m.file("energy.safetensors"), m.file("pack.safetensors#mood"), "-o",
        f"{OUT}/pack",
    ],
    "vectors-unbundle": lambda m, seed: [
        "vectors", "unbundle", m.file("pack.safetensors"), "-o", OUT,
    ],
    "vectors-import": lambda m, seed: [
        "vectors", "import", m.file("energy.gguf"), "-o", f"{OUT}/imported", "--model", m.checkpoint,
    ],
    "vectors-export": lambda m, seed: [
        "vectors", "export", m.file("energy.safetensors"), "--gguf", f"{OUT}/x.gguf",
        "--without-layer-0",
    ],
    "replay": lambda m, seed: [
        "replay", m.file("take.json"), "-o", f"{OUT}/again.wav", "--model", m.checkpoint,
    ],
}  # fmt: skip
# keep finished parts: the first of the takes, activations, codes
KEEPING = ("generate", "probe", "sae-train")
# Commands that write into the cache or nowhere.
READING: dict[str, Line] = {
    "measure": lambda m, seed: ["measure", m.corpus, "--text", "jazz", *_clap(m)],
    "distance": lambda m, seed: ["distance", m.corpus, "--reference", m.corpus, *_clap(m)],
    "cluster": lambda m, seed: ["cluster", m.corpus, *_clap(m)],
    "vectors": lambda m, seed: ["vectors", m.folder],
    "inspect": lambda m, seed: ["inspect", m.file("take.json")],
    "models": lambda m, seed: ["models"],
    "doctor": lambda m, seed: ["doctor", "--model", m.checkpoint],
}
EVERY = {**WRITING, **READING}


def command_line(name: str, materials: Materials, seed: int = 1, force: bool = True) -> list[str]:
    """Arguments of a whole run of a command."""
    line = [str(one) for one in EVERY[name](materials, seed)]
    return [*line, "--force"] if force and name in WRITING else line


def check_files(folder: Path) -> None:
    """Assert that every file with a final name is whole, and that files fit to one another."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".part" not in path.name:
            _check_file(path)
    for page in folder.rglob(PAGE):
        _check_page(page)


def _check_file(path: Path) -> None:
    if path.suffix in WRITABLE:
        assert Clip.read(path).samples.size
    elif path.name == INDEX and path.parent.name == CLIPS:
        assert json.loads(path.read_text())["items"]
    elif path.name == INDEX:
        assert read_index(path.parent).sites
    elif path.name == RESULT:
        assert json.loads(path.read_text())["scores"]
    elif path.suffix == ".json":
        _check_take(path)
    elif path.name.startswith("shard-"):
        assert read_shard_info(path.parent, int(path.stem.removeprefix("shard-"))) is not None
    elif path.name == FIGURE:
        assert imread(path).size
    elif path.name.startswith("codes-") or path.name == UNFINISHED:
        with safetensors.safe_open(path, framework="pt") as file:
            assert all(file.get_tensor(key).numel() for key in file.keys())  # noqa: SIM118
    elif is_autoencoder(path):
        load_autoencoder(path)
    elif path.suffix == ".safetensors":
        (load_classifier if is_classifier(path) else load_vectors)(path)
    elif path.suffix == ".gguf":
        assert read_gguf(path).tensors
    elif path.suffix == ".npz":
        with np.load(path) as content:
            assert np.isfinite(content["row"]).all()
    else:
        assert path.name == PAGE or path.stat().st_size == 0, path


def _check_take(sidecar: Path) -> None:
    """Assert that a sidecar belongs to the audio beside it."""
    record = read_sidecar(sidecar)
    assert record.audio_file is not None
    audio = sidecar.parent / record.audio_file
    if audio.suffix == ".wav":  # other formats are not exact
        assert hash_clip(Clip.read(audio)) == record.audio_sha256, f"{audio} of another run"
    for vector in record.vectors.values():
        if vector.file:
            loaded = load_vector(sidecar.parent / vector.file)
            assert loaded.content_hash() == vector.content_hash


def _check_page(page: Path) -> None:
    """Assert that a page's files exist, and that its takes are of one run."""
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).is_file(), link
    seeds = {json.loads(path.read_text())["seed"] for path in page.parent.glob("*.json")}
    assert len(seeds) == 1


def final_files(folder: Path) -> list[str]:
    """Names of all files that are not temporary."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".part" not in path.as_posix()
    )
