"""Every command and every public function, with the kinds of bad input that each argument takes.

A test asserts that no command, option, public function or parameter is missing.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

import tonearm
import tonearm.steering
from tests.campaign import bad_files, bad_values
from tests.campaign.materials import (
    LOUD,
    PROMPT,
    SECONDS,
    SEGMENT,
    TINY_TRAINING,
    Materials,
)
from tests.sharing.fake_hub import FakeHub
from tonearm import measures, sharing, steering
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.evaluators.load import load_clap
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.processing import Trims

Make = Callable[[Random, Path, Path], Any]


def _value(make: Callable[[Random], Any]) -> Make:
    return lambda rng, materials, folder: make(rng)


# kind of input -> (generator, cases per argument that takes it)
KINDS: dict[str, tuple[Make, int]] = {
    "text": (_value(bad_values.bad_text), 8),
    "steer": (_value(bad_values.bad_steer), 16),
    "number": (_value(bad_values.bad_number), 6),
    "integer": (_value(bad_values.bad_integer), 6),
    "flag": (_value(lambda rng: True), 1),
    "special": (bad_files.special_path, 16),
    "audio": (bad_files.audio, 30),
    "odd_audio": (bad_files.odd_audio, 16),
    "embeddings": (bad_files.embeddings, 40),
    "vector": (bad_files.vector, 40),
    "bundle": (bad_files.bundle, 30),
    "member": (bad_files.member, 12),
    "gguf": (bad_files.gguf, 40),
    "layers": (bad_files.layers, 20),
    "svec": (bad_files.svec, 20),
    "classifier": (bad_files.classifier, 24),
    "autoencoder": (bad_files.autoencoder, 24),
    "sidecar": (bad_files.sidecar, 40),
    "steering": (bad_files.steering, 30),
    "prompts": (bad_files.prompts, 12),
    "texts": (bad_files.texts, 20),
    "checkpoint": (bad_files.checkpoint, 40),
    "clap": (bad_files.clap, 30),
    "corpus": (bad_files.corpus, 14),
    "output": (bad_files.output, 14),
    "listening_key": (bad_files.listening_key, 20),
    "listening_result": (bad_files.listening_result, 20),
}


def _vector_steer(rng: Random, materials: Path, folder: Path) -> str:
    path = rng.choice((bad_files.vector, bad_files.special_path))(rng, materials, folder)
    return f"{path}={rng.choice(('0.5', '-1', '1@0-0.2'))}"


KINDS["vector_steer"] = (_vector_steer, 24)

LOADED = {"model": ("text", "special", "checkpoint"), "device": ("text",), "dtype": ("text",)}
SAMPLED = {
    "guidance": ("number",),
    "temperature": ("number",),
    "top_k": ("integer",),
    "top_p": ("number",),
    "engine": ("text",),
    "seconds": ("number",),
    "seed": ("integer",),
}
SHOWN = {"as_json": ("flag",)}
STEERED = {
    "steer": ("text", "steer", "vector_steer"),
    "steering": ("steering", "special"),
    "combine": ("text",),
}
# Options of `tonearm learn` that belong to audio, and the others beside each of them.
OF_AUDIO = ("audio", "label", "against", "column", "where", "layout", "segment", "text", "store")
FROM_AUDIO = {
    "positive": None,
    "negative": None,
    "audio": LOUD,
    "label": "tone",
    "segment": SEGMENT,
}
CHOSEN = {"label": ("text",), "where": ("text",), "layout": ("text",)}
CLIPS = {
    "prompts": ("prompts", "special"),
    "audio": ("corpus", "special", "audio"),
    "takes": ("integer",),
    "seconds": ("number",),
    "seed": ("integer",),
}
EMBEDDED = {
    "clap": ("text", "special", "clap"),
    "device": ("text",),
    "seed": ("integer",),
}


@dataclass(frozen=True)
class Command:
    """A command.

    base    valid arguments by the names of the parameters; a list is given value by value
    kinds   of bad input, by parameter
    beside  valid arguments that a parameter needs beside it
    """

    base: Callable[[Materials], dict[str, Any]]
    kinds: Mapping[str, tuple[str, ...]]
    beside: Mapping[str, dict[str, Any]] = field(default_factory=dict)


COMMANDS = {
    "generate": Command(
        lambda m: {"prompt": PROMPT, "model": m.checkpoint, "seconds": SECONDS, "seed": 1},
        {
            **LOADED,
            **SAMPLED,
            **STEERED,
            **SHOWN,
            "prompt": ("text", "text"),
            "output": ("output",),
            "takes": ("integer",),
            "sections": ("text", "steer"),
            "targets": ("text", "steer"),
            "tries": ("integer",),
            "trim": ("flag",),
            "prompts": ("prompts", "special"),
            "continue_from": ("audio", "odd_audio", "special"),
            "melody": ("audio", "odd_audio", "special"),
            "negative": ("text",),
            "batch_size": ("integer",),
            "force": ("flag",),
        },
        {"prompts": {"prompt": None}},
    ),
    "compare": Command(
        lambda m: {
            "prompt": PROMPT,
            "folder": "compared",
            "steer": [f"{m.file('energy.safetensors')}=raw:0.5"],
            "model": m.checkpoint,
            "seconds": SECONDS,
        },
        {
            **LOADED,
            **SAMPLED,
            **STEERED,
            **SHOWN,
            "prompt": ("text",),
            "folder": ("output", "special"),
            "also": ("text", "steer", "vector_steer"),
            "beats": ("text", "special", "clap"),
            "show": ("flag",),
            "force": ("flag",),
        },
    ),
    "learn": Command(
        lambda m: {
            "name": "mood",
            "positive": m.file("positive.txt"),
            "negative": m.file("negative.txt"),
            "model": m.checkpoint,
        },
        {
            **LOADED,
            **SHOWN,
            "name": ("text",),
            "positive": ("prompts", "special"),
            "negative": ("prompts", "special"),
            "output": ("output",),
            "method": ("text",),
            "site": ("text",),
            "pooling": ("text",),
            "positive_label": ("text",),
            "negative_label": ("text",),
            "paired": ("flag",),
            "seconds": ("number",),
            "seed": ("integer",),
            "engine": ("text",),
            "batch_size": ("integer",),
            "force": ("flag",),
            "audio": ("corpus", "special", "text"),
            "label": ("text",),
            "against": ("text",),
            "against_audio": ("corpus", "special", "audio"),
            "column": ("text",),
            "where": ("text",),
            "layout": ("text",),
            "segment": ("number",),
            "text": ("text",),
            "store": ("output", "special"),
        },
        {
            "seconds": {"pooling": "mean"},
            **dict.fromkeys(OF_AUDIO, FROM_AUDIO),
            "against_audio": {**FROM_AUDIO, "label": None},
        },
    ),
    "probe": Command(
        lambda m: {
            "folders": [m.file(LOUD)],
            "output": "probes",
            "segment": SEGMENT,
            "method": "diffmean",
            "model": m.checkpoint,
        },
        {
            **LOADED,
            **SHOWN,
            "folders": ("corpus", "special", "text"),
            "column": ("text",),
            "where": ("text",),
            "layout": ("text",),
            "output": ("output", "special"),
            "method": ("text",),
            "site": ("text",),
            "pooling": ("text",),
            "segment": ("number",),
            "text": ("text",),
            "engine": ("text",),
            "batch_size": ("integer",),
            "force": ("flag",),
        },
    ),
    "calibrate": Command(
        lambda m: {
            "vector": str(m.file("energy.safetensors")),
            "measure": "loudness",
            "output": "calibrated.safetensors",
            "prompts": m.file("prompts.txt"),
            "model": m.checkpoint,
            "seconds": SECONDS,
            "workers": 0,
        },
        {
            "model": LOADED["model"],
            "device": LOADED["device"],
            "dtype": LOADED["dtype"],
            **SHOWN,
            "vector": ("text", "vector", "special"),
            "measure": ("text",),
            "output": ("output",),
            "prompts": ("prompts", "special"),
            "seconds": ("number",),
            "takes": ("integer",),
            "operator": ("text",),
            "scales": ("flag",),
            "strategy": ("text",),
            "tables": ("flag",),
            "store": ("output", "special"),
            "workers": ("integer",),
            "force": ("flag",),
        },
    ),
    "study": Command(
        lambda m: {"what": "list", "folder": m.folder},
        {
            **SHOWN,
            **LOADED,
            "what": ("text",),
            "folder": ("special", "output"),
            "output": ("output", "special"),
            "smoke": ("flag",),
            "resume": ("flag",),
            "limit": ("integer",),
            "dry_run": ("flag",),
            "ray": ("text",),
            "genres": ("corpus", "special", "text"),
            "sae": ("autoencoder", "special"),
            "workers": ("integer",),
            "force": ("flag",),
        },
    ),
    "report": Command(
        lambda m: {"folder": m.folder},
        {**SHOWN, "folder": ("special", "output"), "markdown": ("output",)},
    ),
    "vectors list": Command(
        lambda m: {"files": [m.file("energy.safetensors")]},
        {"files": ("vector", "bundle", "classifier", "special", "text"), **SHOWN},
    ),
    "vectors bundle": Command(
        lambda m: {"files": [m.file("energy.safetensors")], "output": "packed"},
        {
            "files": ("vector", "bundle", "member", "classifier", "special", "text"),
            "output": ("output", "special"),
            "force": ("flag",),
            **SHOWN,
        },
    ),
    "vectors unbundle": Command(
        lambda m: {"file": m.file("pack.safetensors"), "folder": "apart"},
        {
            "file": ("bundle", "vector", "special", "text"),
            "folder": ("output", "special"),
            "force": ("flag",),
            **SHOWN,
        },
    ),
    "vectors import": Command(
        lambda m: {
            "file": m.file("energy.gguf"),
            "output": "imported",
            "model": m.checkpoint,
        },
        {
            "file": ("gguf", "layers", "svec", "embeddings", "vector", "special", "text"),
            "output": ("output", "special"),
            "site": ("text",),
            "layers_from": ("integer",),
            "layer": ("integer",),
            "best_layer": ("integer",),
            "positive_label": ("text",),
            "negative_label": ("text",),
            "model": LOADED["model"],
            "force": ("flag",),
            **SHOWN,
        },
        {"layer": {"file": "one.npy", "site": "residual"}},
    ),
    "vectors export": Command(
        lambda m: {
            "vector": str(m.file("energy.safetensors")),
            "gguf": "x.gguf",
            "without_layer_0": True,
        },
        {
            "vector": ("vector", "bundle", "member", "special", "text"),
            "gguf": ("output", "special"),
            "mode": ("text",),
            "alpha": ("number",),
            "without_layer_0": ("flag",),
            "force": ("flag",),
            **SHOWN,
        },
    ),
    # The hub is offline: what is wrong is found before, or the command ends there.
    "vectors push": Command(
        lambda m: {"repository": "me/knobs", "files": [m.file("energy.safetensors")]},
        {
            "repository": ("text",),
            "files": ("vector", "bundle", "special", "text"),
            "private": ("flag",),
            "revision": ("text",),
            "tag": ("text",),
            "licence": ("text",),
            "base_model": ("text",),
            **SHOWN,
        },
    ),
    "vectors pull": Command(
        lambda m: {"repository": "me/knobs", "folder": "pulled"},
        {
            "repository": ("text",),
            "names": ("text",),
            "folder": ("output", "special"),
            "force": ("flag",),
            **SHOWN,
        },
    ),
    "knobs": Command(
        lambda m: {"files": [m.file("energy.safetensors")]},
        {"files": ("vector", "classifier", "special", "text"), **SHOWN},
    ),
    "measure": Command(
        lambda m: {"files": [m.file("clicks.wav")], "clap": m.clap},
        {
            "files": ("audio", "audio", "odd_audio", "special", "text", "corpus"),
            "beats": ("text", "special", "clap"),
            "as_json": ("flag",),
            "as_csv": ("flag",),
            "clap": ("text", "special", "clap"),
            "device": ("text",),
            "tags": ("flag",),
            "notes": ("flag",),
            "labels": ("text",),
            "template": ("text",),
            "text": ("text",),
            "texts": ("texts", "special"),
            "prompts": ("flag",),
            "classifier": ("classifier", "vector", "special"),
        },
        {"template": {"labels": "jazz,rock"}, "clap": {"text": "jazz"}, "device": {"text": "jazz"}},
    ),
    "distance": Command(
        lambda m: {"files": [m.file("rows.npy")], "reference": m.file("rows.npz"), "clap": m.clap},
        {
            **EMBEDDED,
            **SHOWN,
            "files": ("embeddings", "special", "text"),
            "reference": ("embeddings", "special", "text"),
            "fad": ("flag",),
            "kad": ("flag",),
            "extrapolate": ("flag",),
            "embedding": ("text",),
            "model": ("text", "checkpoint"),
            "as_csv": ("flag",),
        },
        {
            "clap": {"files": ["corpus/tone"], "reference": "corpus"},
            "device": {"files": ["corpus/tone"], "reference": "corpus"},
            "model": {"files": ["corpus/tone"], "reference": "corpus", "embedding": "encodec"},
            "seed": {"extrapolate": True},
        },
    ),
    "classifier": Command(
        lambda m: {"name": "kind", "folders": [m.corpus], "clap": m.clap},
        {
            **EMBEDDED,
            **SHOWN,
            **CHOSEN,
            "name": ("text", "output"),
            "folders": ("corpus", "special", "text"),
            "force": ("flag",),
        },
    ),
    "cluster": Command(
        lambda m: {"folders": [m.corpus], "clap": m.clap},
        {
            **EMBEDDED,
            **SHOWN,
            **CHOSEN,
            "folders": ("corpus", "special", "text"),
            "embedding": ("text",),
            "model": ("text", "checkpoint"),
        },
        {"model": {"embedding": "encodec"}},
    ),
    "corpus": Command(
        lambda m: {"action": "show", "what": str(m.corpus)},
        {
            **CHOSEN,
            **SHOWN,
            "action": ("text",),
            "what": ("text", "corpus", "special"),
            "output": ("output", "special"),
            "clips": ("integer",),
            "seed": ("integer",),
            "sound_font": ("special", "audio"),
        },
        {
            name: {"action": "render", "what": "notes", "output": "rendered", "clips": 1}
            for name in ("output", "clips", "seed", "sound_font")
        },
    ),
    "inspect": Command(
        lambda m: {"file": m.file("energy.safetensors")},
        {
            "file": (
                *(
                    "vector",
                    "bundle",
                    "member",
                    "classifier",
                    "autoencoder",
                    "gguf",
                    "layers",
                    "svec",
                    "embeddings",
                ),
                *("sidecar", "audio", "odd_audio", "special", "text"),
            ),
            **SHOWN,
        },
    ),
    "sae train": Command(
        lambda m: {
            "folder": "sae",
            "layer": [1],
            "prompts": m.file("prompts.txt"),
            "seconds": SECONDS,
            "model": m.checkpoint,
            **TINY_TRAINING,
        },
        {
            **LOADED,
            **SHOWN,
            **CLIPS,
            "folder": ("output", "special"),
            "layer": ("integer",),
            "site": ("text",),
            "expansion": ("integer",),
            "k": ("integer",),
            "rows": ("integer",),
            "batch_rows": ("integer",),
            "base_rate": ("number",),
            "matryoshka": ("flag",),
            "half": ("flag",),
            "force": ("flag",),
        },
        {"audio": {"prompts": None}},
    ),
    "sae features": Command(
        lambda m: {
            "file": m.file("sae.safetensors"),
            "output": "names.json",
            "prompts": m.file("many.txt"),
            "seconds": SECONDS,
            "clap": m.clap,
            "texts": "jazz,folk",
            "model": m.checkpoint,
        },
        {
            **LOADED,
            **SHOWN,
            **CLIPS,
            "file": ("autoencoder", "vector", "special"),
            "output": ("output",),
            "store": ("output", "special"),
            "clap": ("text", "special", "clap"),
            "texts": ("text",),
            "force": ("flag",),
        },
        {"audio": {"prompts": None}},
    ),
    "sae vector": Command(
        lambda m: {"file": m.file("sae.safetensors"), "feature": 7},
        {
            **SHOWN,
            "file": ("autoencoder", "autoencoder", "vector", "special"),
            "feature": ("integer",),
            "output": ("output",),
            "label": ("text",),
            "force": ("flag",),
        },
    ),
    "sae learn": Command(
        lambda m: {
            "name": "mood",
            "autoencoder": m.file("sae.safetensors"),
            "positive": m.file("positive.txt"),
            "negative": m.file("negative.txt"),
            "seconds": SECONDS,
            "model": m.checkpoint,
        },
        {
            **LOADED,
            **SHOWN,
            "name": ("text",),
            "autoencoder": ("autoencoder", "special"),
            "positive": ("prompts", "special"),
            "negative": ("prompts", "special"),
            "output": ("output",),
            "rule": ("text",),
            "count": ("integer",),
            "positive_label": ("text",),
            "negative_label": ("text",),
            "seconds": ("number",),
            "seed": ("integer",),
            "store": ("output", "special"),
            "force": ("flag",),
        },
    ),
    "listen make": Command(
        lambda m: {
            "kind": "abx",
            "sources": [m.file("takes")],
            "folder": "test",
            "items": 1,
            "seed": 1,
        },
        {
            **SHOWN,
            "kind": ("text",),
            "sources": ("corpus", "special", "audio", "text"),
            "folder": ("output", "special"),
            "condition": ("text", "steer"),
            "study": ("text",),
            "question": ("text",),
            "title": ("text",),
            "reference": ("text",),
            "anchor": ("text",),
            "pairs": ("text",),
            "items": ("integer",),
            "repeats": ("integer",),
            "excerpt": ("text", "number"),
            "show_text": ("flag",),
            "seed": ("integer",),
            "force": ("flag",),
        },
        {"anchor": {"kind": "mushra"}, "pairs": {"kind": "2afc", "question": "Which?"}},
    ),
    "listen analyse": Command(
        lambda m: {"key": m.file("listening"), "results": [m.file("result.json")]},
        {
            **SHOWN,
            "key": ("listening_key", "special"),
            "results": ("listening_result", "special", "text"),
            "incomplete": ("flag",),
            "screening": ("text",),
        },
    ),
    "models": Command(lambda m: {}, SHOWN),
    "doctor": Command(
        lambda m: {"model": m.checkpoint}, {"model": ("text", "special", "checkpoint"), **SHOWN}
    ),
    "replay": Command(
        lambda m: {"file": m.file("take.json"), "output": "again.wav", "model": m.checkpoint},
        {
            "file": ("sidecar", "sidecar", "special"),
            "continue_from": ("audio", "special"),
            "melody": ("audio", "special"),
            "output": ("output",),
            "model": ("text", "special", "checkpoint"),
            "force": ("flag",),
            **SHOWN,
        },
    ),
}


def _bad_clip(rng: Random, materials: Path, folder: Path) -> Any:
    """A clip of odd samples or an odd rate, or something else."""
    if rng.random() < 0.3:
        return bad_values.wrong_object(rng)
    kind = rng.randrange(5)
    samples = np.zeros((rng.choice((1, 1, 2, 7)), rng.choice((0, 1, 30, 900, 9_000))), np.float32)
    if kind < 2 and samples.size:
        samples.flat[rng.randrange(samples.size)] = rng.choice((np.nan, np.inf, 1e5))
    elif kind == 2:
        samples[:] = rng.choice((1e6, 1e-30, -1.0))
    elif kind == 3:
        samples[:] = np.random.default_rng(rng.randrange(99)).normal(size=samples.shape)
    return tonearm.Clip(samples, rng.choice((100, 1_600, 8_000, 44_100, 2**31 - 1)))


def _bad_audio(rng: Random, materials: Path, folder: Path) -> Any:
    """An audio input: a file, a clip, an array with a rate, or something else."""
    kind = rng.randrange(5)
    if kind == 0:
        return bad_files.audio(rng, materials, folder)
    if kind == 1:
        return bad_files.special_path(rng, materials, folder)
    if kind == 2:
        return _bad_clip(rng, materials, folder)
    if kind == 3:
        return (bad_values.bad_array(rng), rng.choice((1_600, 8_000, bad_values.bad_count(rng))))
    return bad_values.wrong_object(rng)


def _content(rng: Random, materials: Path, folder: Path) -> bytes:
    """Bytes of a bad audio file."""
    return bad_files.audio(rng, materials, folder).read_bytes()


def _listed(make: Make) -> Make:
    """A list of bad inputs, some of them twice."""
    return lambda rng, materials, folder: [make(rng, materials, folder)] * rng.randrange(1, 3)


def _no_function(rng: Random) -> Any:
    """An object that cannot be called; errors of a callback are the user's own."""
    while callable(found := bad_values.wrong_object(rng)):
        continue
    return found


OBJECT = _value(bad_values.wrong_object)
KINDS |= {
    "object": (OBJECT, 6),
    "no_function": (_value(_no_function), 6),
    "count": (_value(bad_values.bad_count), 5),
    "real": (_value(bad_values.bad_real), 5),
    "array": (_value(bad_values.bad_array), 10),
    "clip": (_bad_clip, 12),
    "any_audio": (_bad_audio, 24),
    "content": (_content, 20),
    "name": (_value(bad_values.bad_text), 5),
    "objects": (_listed(OBJECT), 5),
    "names": (_listed(_value(bad_values.bad_text)), 5),
    "reals": (_listed(_value(bad_values.bad_real)), 5),
    "paths": (_listed(bad_files.special_path), 8),
    "clips": (_listed(_bad_clip), 5),
}

TEXT, REAL, COUNT, ANY = ("object", "name"), ("object", "real"), ("object", "count"), ("object",)
CLIP, PATH = ("clip",), ("object", "special")
REQUEST_KINDS = {
    "prompt": TEXT,
    "seed": COUNT,
    "negative": TEXT,
    "seconds": REAL,
    "continue_from": ("any_audio",),
    "melody": ("any_audio",),
    "sections": ("object", "objects"),
}
SAMPLING_KINDS = {"guidance": REAL, "temperature": REAL, "top_k": COUNT, "top_p": REAL}
SCHEDULES = {"guidance_schedule": ANY, "temperature_schedule": ANY}
STEER_KINDS = ("object", "name", "steer", "objects")
PROGRESS = {"progress": ("no_function",)}


@dataclass(frozen=True)
class Function:
    """A public function or method.

    call   the function
    valid  valid arguments; a case replaces one
    kinds  of bad input, by parameter
    """

    call: Callable[[Materials], Callable[..., Any]]
    valid: Callable[[Materials], dict[str, Any]] = lambda m: {}
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _fixed(call: Callable[..., Any], **kinds: tuple[str, ...]) -> Function:
    """A function of one argument, or whose other arguments have defaults."""
    return Function(lambda m: call, kinds=kinds)


def _of_clip(call: Callable[..., Any]) -> Function:
    return Function(lambda m: call, lambda m: {"clip": m.clip}, {"clip": CLIP})


EVIDENCE = (
    "plain", "steered", "effect", "low", "high", "faulty_plain", "faulty_steered", "pulse_ratio",
    "text_loss",
)  # fmt: skip


def _failed() -> tonearm.steering.SignCalibration:
    return tonearm.steering.SignCalibration(failure="no effect")


def _plain_request(m: Materials) -> tonearm.TakeRequest:
    return tonearm.TakeRequest(PROMPT, 1, seconds=SECONDS)


def _plain_take(m: Materials) -> tonearm.Take:
    (take,) = m.model.generate_batch([_plain_request(m)])
    return take


def _points() -> tuple[tonearm.steering.ResponsePoint, ...]:
    return tuple(
        tonearm.steering.ResponsePoint(amount=i / 10, effect=i, low=0, high=0) for i in range(11)
    )


def _response() -> tonearm.steering.Response:
    return tonearm.steering.Response(
        measure="spectral_centroid", unit="st", plain=1000, points=_points(), prompts=2
    )


def _calibrated_stream(m: Materials) -> tonearm.Stream:
    sign = tonearm.steering.SignCalibration(strength=0.1, response=_response())
    calibration = tonearm.steering.Calibration(positive=sign, negative=sign)
    info = m.vector.info.model_copy(update={"calibration": calibration})
    vector = tonearm.SteeringVector(m.vector.directions, info)
    return m.model.stream(PROMPT, steer={vector: 0}, seconds=SECONDS, seed=1)


def _stream(m: Materials) -> tonearm.Stream:
    return m.model.stream(PROMPT, steer={m.vector: "raw:0.0"}, seconds=SECONDS, seed=1)


def _level_stream(m: Materials) -> tonearm.Stream:
    layers = m.vector.layers
    scales = steering.FrameScales(
        means=dict.fromkeys(layers, 0.0), deviations=dict.fromkeys(layers, 1.0)
    )
    steer = {m.vector.with_frame_scales(scales): "0@set"}
    return m.model.stream(PROMPT, steer=steer, seconds=SECONDS, seed=1)


def _rows(m: Materials) -> EmbeddingSet:
    return EmbeddingSet.read(m.file("rows.npy"))


def _clap(m: Materials) -> Any:
    return load_clap(str(m.clap), "cpu")


def _filled_hub(m: Materials) -> FakeHub:
    """A hub in memory that holds one vector."""
    hub = FakeHub()
    sharing.push("me/knobs", [m.file("energy.safetensors")], api=hub)
    return hub


def _request(m: Materials) -> tonearm.TakeRequest:
    return tonearm.TakeRequest(PROMPT, 1, seconds=SECONDS)


FUNCTIONS: dict[str, Function] = {
    "Clip": Function(
        lambda m: tonearm.Clip,
        lambda m: {"samples": m.clip.samples, "sample_rate": 8_000},
        {"samples": ("object", "array"), "sample_rate": ("object", "count", "real")},
    ),
    "Clip.with_channels": Function(lambda m: m.clip.with_channels, kinds={"channels": COUNT}),
    "Clip.resampled": Function(lambda m: m.clip.resampled, kinds={"sample_rate": COUNT}),
    "Clip.first": Function(lambda m: m.clip.first, kinds={"seconds": REAL}),
    "Clip.last": Function(lambda m: m.clip.last, kinds={"seconds": REAL}),
    "Clip.rolled": Function(lambda m: m.clip.rolled, kinds={"seconds": REAL}),
    "Clip.loudness_matched": Function(
        lambda m: m.clip.loudness_matched, kinds={"target": REAL, "peak": REAL}
    ),
    "Clip.write": Function(lambda m: m.clip.write, kinds={"path": ("object", "special", "output")}),
    "Clip.encoded": Function(
        lambda m: m.clip.encoded,
        lambda m: {"suffix": ".ogg"},
        {"suffix": TEXT, "quality": REAL},
    ),
    "Clip.decode": Function(
        lambda m: tonearm.Clip.decode,
        lambda m: {"content": m.file("clicks.wav").read_bytes(), "name": "clicks"},
        {"content": ("object", "content"), "name": TEXT},
    ),
    "Clip.read": _fixed(tonearm.Clip.read, path=("object", "special", "audio", "odd_audio")),
    "Comparison.save": Function(
        lambda m: tonearm.compare(m.model, PROMPT, [{m.vector: "raw:0.5"}], seconds=SECONDS).save,
        kinds={"folder": ("object", "special", "output")},
    ),
    "Control": Function(
        lambda m: tonearm.Control,
        lambda m: {"target": "guidance", "value": 2.0},
        {"target": TEXT, "value": REAL},
    ),
    "Calibration": Function(
        lambda m: tonearm.steering.Calibration,
        lambda m: dict.fromkeys(("positive", "negative"), _failed()),
        {"positive": ANY, "negative": ANY, "protocol": TEXT, "tables": TEXT},
    ),
    "Calibration.amounts_json": Function(
        lambda m: tonearm.steering.Calibration(positive=_failed(), negative=_failed()).amounts_json
    ),
    "Calibration.of": Function(
        lambda m: tonearm.steering.Calibration(positive=_failed(), negative=_failed()).of,
        lambda m: {"sign": 1},
        {"sign": COUNT},
    ),
    "Configuration": Function(
        lambda m: tonearm.steering.Configuration,
        kinds={
            **dict.fromkeys(("operator", "scale", "strategy", "branch"), TEXT),
            "source_layer": COUNT,
            "layers": ("object", "array", "objects"),
            "ramp": REAL,
        },
    ),
    "Evidence": Function(
        lambda m: tonearm.steering.Evidence,
        lambda m: {"measure": "onset_rate", "prompts": 2, **dict.fromkeys(EVIDENCE, 0.5)},
        {"measure": TEXT, "prompts": COUNT, **dict.fromkeys(EVIDENCE, REAL)},
    ),
    "SignCalibration": Function(
        lambda m: tonearm.steering.SignCalibration,
        lambda m: {"strength": 0.1},
        {
            "strength": REAL, "configuration": ANY, "evidence": ANY, "response": ANY,
            "leakage": ANY, "drift": ANY, "failure": TEXT,
        },
    ),
    "Response": Function(
        lambda m: tonearm.steering.Response,
        lambda m: {"measure": "x", "unit": "st", "plain": 1000, "points": _points(), "prompts": 2},
        {"measure": TEXT, "unit": TEXT, "plain": REAL, "points": ("object", "objects"), "prompts": COUNT},
    ),
    "Response.amount_for": Function(lambda m: _response().amount_for, kinds={"effect": REAL}),
    "Response.reaches": Function(lambda m: _response().reaches, kinds={"effect": REAL}),
    "Response.effect_at": Function(lambda m: _response().effect_at, kinds={"amount": REAL}),
    "ResponsePoint": Function(
        lambda m: tonearm.steering.ResponsePoint,
        lambda m: {"amount": 0.5, "effect": 1, "low": 0, "high": 2},
        dict.fromkeys(
            ("amount", "effect", "low", "high", "fault_gain", "pulse_loss", "text_loss"), REAL
        ),
    ),
    "Leak": Function(
        lambda m: tonearm.steering.Leak,
        lambda m: {"change": 1, "low": 0, "high": 2, "unit": "st"},
        {**dict.fromkeys(("change", "low", "high"), REAL), "unit": TEXT},
    ),
    "Drift": Function(
        lambda m: tonearm.steering.Drift,
        lambda m: {"seconds": 30, "part": 10, "early": 1, "late": 1, "prompts": 2},
        {**dict.fromkeys(("seconds", "part", "early", "late"), REAL), "prompts": COUNT},
    ),
    "with_strengths": Function(
        lambda m: tonearm.steering.with_strengths,
        lambda m: {"steering": tonearm.Steering(), "vectors": {}},
        {"steering": ANY, "vectors": ANY, "live": ANY},
    ),
    "Model.divergence": Function(
        lambda m: m.model.divergence,
        lambda m: {"requests": [_plain_request(m)], "takes": [_plain_take(m)]},
        {
            "requests": ("object", "objects"),
            "takes": ("object", "objects"),
            "vectors": ANY,
        },
    ),
    "Schedule.scaled": _fixed(tonearm.Schedule.window(0, 1).scaled, factor=REAL),
    "Schedule.clipped": Function(lambda m: tonearm.Schedule.window(0, 1).clipped),
    "Control.amount": Function(
        lambda m: tonearm.Control.amount,
        lambda m: {"vector": "energy", "value": 1.0},
        {"vector": TEXT, "value": REAL},
    ),
    "Control.physical": Function(
        lambda m: tonearm.Control.physical,
        lambda m: {"vector": "energy", "value": 1.0},
        {"vector": TEXT, "value": REAL},
    ),
    "Control.strength": Function(
        lambda m: tonearm.Control.strength,
        lambda m: {"vector": "energy", "value": 1.0},
        {"vector": TEXT, "value": REAL},
    ),
    "Control.level": Function(
        lambda m: tonearm.Control.level,
        lambda m: {"vector": "energy", "value": 1.0},
        {"vector": TEXT, "value": REAL},
    ),
    "FrameScales": Function(
        lambda m: steering.FrameScales,
        lambda m: {"means": {0: 1.0}, "deviations": {0: 1.0}},
        {"means": ANY, "deviations": ANY, "protocol": TEXT},
    ),
    "Monitoring": Function(
        lambda m: steering.Monitoring,
        kinds={"delta": REAL, "every": COUNT, "hysteresis": REAL, "threshold": REAL},
    ),
    "FrameScales.content_hash": Function(
        lambda m: steering.FrameScales(means={0: 1.0}, deviations={0: 1.0}).content_hash
    ),
    "Model": Function(
        lambda m: tonearm.Model,
        lambda m: {"checkpoint": load_checkpoint(str(m.checkpoint), "cpu")},
        {"checkpoint": ANY, "engine": TEXT, "consume": ANY},
    ),
    "Model.with_engine": Function(lambda m: m.model.with_engine, kinds={"name": TEXT}),
    "Model.sampling": Function(lambda m: m.model.sampling, kinds=SAMPLING_KINDS),
    "Model.generate": Function(
        lambda m: m.model.generate,
        lambda m: {"prompt": PROMPT, "seconds": SECONDS, "seed": 1},
        {**REQUEST_KINDS, **SAMPLING_KINDS, **PROGRESS, "steer": STEER_KINDS, "combine": TEXT},
    ),
    "Model.generate_batch": Function(
        lambda m: m.model.generate_batch,
        lambda m: {"requests": [_request(m)]},
        {
            **PROGRESS,
            "requests": ("object", "objects"),
            "vectors": ANY,
            "order": TEXT,
            "batch_size": COUNT,
            "memory_gib": REAL,
        },
    ),
    "Model.reproduce": Function(
        lambda m: m.model.reproduce,
        lambda m: {
            "request": _request(m),
            "place": m.take.provenance.batch,
            "vectors": {m.vector.name: m.vector},
        },
        {**PROGRESS, "request": ANY, "place": ANY, "vectors": ANY, "rewinds": ("object", "objects")},
    ),
    "Model.decode": Function(lambda m: m.model.decode, lambda m: {"take": m.take}, {"take": ANY}),
    "Model.stream": Function(
        lambda m: m.model.stream,
        lambda m: {"prompt": PROMPT, "seconds": SECONDS, "seed": 1},
        # None as a length is an endless stream
        {**REQUEST_KINDS, **SAMPLING_KINDS, "steer": STEER_KINDS, "combine": TEXT, "chunk_seconds": REAL,
         "seconds": ("negative_length",), "twin": ANY, "rewinds": ANY},
    ),
    "Sampling": _fixed(tonearm.Sampling, **SAMPLING_KINDS, **SCHEDULES),
    "Sampling.overridden": _fixed(tonearm.Sampling().overridden, **SAMPLING_KINDS),
    "Sampling.guidance_at": _fixed(
        tonearm.Sampling().guidance_at, seconds=("object", "array", "reals")
    ),
    "Sampling.temperature_at": _fixed(
        tonearm.Sampling().temperature_at, seconds=("object", "array", "reals")
    ),
    "Schedule": _fixed(tonearm.Schedule, points=("object", "array", "objects", "reals")),
    "Schedule.window": Function(
        lambda m: tonearm.Schedule.window,
        lambda m: {"start": 0, "end": 1},
        {"start": REAL, "end": REAL, "fade": REAL},
    ),
    "Schedule.ramp": Function(
        lambda m: tonearm.Schedule.ramp,
        lambda m: {"start": 0, "end": 1},
        {"start": REAL, "end": REAL, "first": REAL, "last": REAL},
    ),
    "Schedule.steps": Function(
        lambda m: tonearm.Schedule.steps,
        lambda m: {"values": [1.0, 2.0], "rate": 50},
        {"values": ("object", "array", "reals"), "rate": REAL},
    ),
    "Schedule.factors": _fixed(
        tonearm.Schedule.window(0, 1).factors, seconds=("object", "array", "reals")
    ),
    "Steer": Function(
        lambda m: tonearm.Steer,
        lambda m: {"vector": "energy"},
        {
            **dict.fromkeys(
                ("target", "amount", "strength", "low", "high", "level", "gate"), REAL
            ),
            **dict.fromkeys(("vector", "unit", "operator", "scale", "strategy", "branch"), TEXT),
            "positions": TEXT,
            "schedule": ANY,
            "level_schedule": ANY,
            "monitor": ANY,
            "source_layer": COUNT,
            "layers": ("object", "array", "objects"),
        },
    ),
    "Steering": _fixed(
        tonearm.Steering, steers=("object", "objects", "names"), combine=TEXT
    ),
    "Steering.from_file": _fixed(
        tonearm.Steering.from_file, path=("object", "special", "steering", "sidecar")
    ),
    "SteeringVector": Function(
        lambda m: tonearm.SteeringVector,
        lambda m: {"directions": m.vector.directions, "info": m.vector.info},
        {
            "directions": ("object", "directions"),
            "info": ANY,
            "monitor": ANY,
            "readers": ("object", "directions"),
        },
    ),
    "SteeringVector.reader": Function(lambda m: m.vector.reader, lambda m: {}, {"layer": COUNT}
    ),
    "SteeringVector.norms": Function(lambda m: m.vector.norms),
    "SteeringVector.content_hash": Function(lambda m: m.vector.content_hash),
    "SteeringVector.tensor_sha256": Function(lambda m: m.vector.tensor_sha256),
    "SteeringVector.cosine": Function(
        lambda m: m.vector.cosine,
        lambda m: {"other": m.vector, "layer": 0},
        {"other": ANY, "layer": COUNT},
    ),
    "SteeringVector.steers_like": Function(lambda m: m.vector.steers_like, kinds={"other": ANY}),
    "SteeringVector.with_frame_scales": Function(
        lambda m: m.vector.with_frame_scales, kinds={"scales": ANY}
    ),
    "SteeringVector.renamed": Function(lambda m: m.vector.renamed, kinds={"name": TEXT}),
    "SteeringVector.random_like": Function(lambda m: m.vector.random_like, kinds={"seed": COUNT}),
    "Stream.set": Function(lambda m: _stream(m).set, kinds={"control": ANY}),
    "Stream.set_amount": Function(
        lambda m: _calibrated_stream(m).set_amount,
        lambda m: {"vector": m.vector.name, "amount": 1.0},
        {"vector": TEXT, "amount": REAL},
    ),
    "Stream.set_target": Function(
        lambda m: _calibrated_stream(m).set_target,
        lambda m: {"vector": m.vector.name, "target": 1.0},
        {"vector": TEXT, "target": REAL},
    ),
    "Stream.set_strength": Function(
        lambda m: _stream(m).set_strength,
        lambda m: {"vector": m.vector.name, "strength": 1.0},
        {"vector": TEXT, "strength": REAL},
    ),
    "Stream.set_level": Function(
        lambda m: _level_stream(m).set_level,
        lambda m: {"vector": m.vector.name, "level": 1.0},
        {"vector": TEXT, "level": REAL},
    ),
    "Stream.set_prompt": Function(lambda m: _stream(m).set_prompt, kinds={"prompt": TEXT}),
    "Stream.set_guidance": Function(lambda m: _stream(m).set_guidance, kinds={"guidance": REAL}),
    "Stream.stop": Function(lambda m: _stream(m).stop),
    "Stream.cancel": Function(lambda m: _stream(m).cancel),
    "Take.save": Function(
        lambda m: m.take.save,
        lambda m: {"path": "a.wav"},
        {"path": ("object", "special", "output"), "measured": ANY},
    ),
    "Take.trimmed": Function(
        lambda m: m.take.trimmed, lambda m: {"trims": Trims(gain=-1.0)}, {"trims": ANY}
    ),
    "TakeRequest": Function(
        lambda m: tonearm.TakeRequest,
        lambda m: {"prompt": PROMPT, "seed": 1},
        {**REQUEST_KINDS, "steering": ANY, "sampling": ANY},
    ),
    "compare": Function(
        lambda m: tonearm.compare,
        lambda m: {
            "model": m.model, "prompt": PROMPT, "steerings": [{m.vector: "raw:0.5"}], "seconds": SECONDS,
        },
        {
            **PROGRESS, "model": ANY, "prompt": TEXT, "steerings": STEER_KINDS, "seconds": REAL,
            "seed": COUNT, "sampling": ANY, "tracker": ANY, "combine": TEXT,
        },
    ),
    "reach": Function(
        lambda m: tonearm.reach,
        lambda m: {
            "model": m.model, "prompt": PROMPT, "targets": "tempo=120bpm", "seconds": SECONDS, "seed": 1,
        },
        {
            **PROGRESS, **dict.fromkeys(("prompt", "negative"), TEXT), "model": ANY,
            "targets": STEER_KINDS, "tries": COUNT, "batch_size": COUNT, "seed": COUNT, "seconds": REAL,
            **dict.fromkeys(("words", "vectors", "trims", "sampling", "tracker"), ANY),
            **dict.fromkeys(("continue_from", "melody"), REQUEST_KINDS["continue_from"]),
        },
    ),
    "describe": Function(
        lambda m: tonearm.describe, lambda m: {"clip": m.clip}, {"clip": CLIP * 2, "tracker": ANY}
    ),
    "learn": Function(
        lambda m: tonearm.learn,
        lambda m: {
            "model": m.model, "positive": ["fast"], "negative": ["slow"], "name": "tempo",
        },
        {
            **PROGRESS,
            **dict.fromkeys(("name", "method", "site", "pooling"), TEXT),
            **dict.fromkeys(("positive_label", "negative_label"), TEXT),
            **dict.fromkeys(("positive", "negative"), ("object", "names", "objects")),
            "model": ANY, "batch_size": COUNT, "seconds": REAL, "seed": COUNT, "paired": ANY,
        },
    ),
    "learn_from_audio": Function(
        lambda m: tonearm.learn_from_audio,
        lambda m: {
            "model": m.model, "name": "tone", "segment_seconds": SEGMENT,
            "positive": [m.file(LOUD) / "tone"], "negative": [m.file(LOUD) / "noise"],
        },
        {
            **PROGRESS,
            **dict.fromkeys(("name", "method", "site", "pooling", "text"), TEXT),
            **dict.fromkeys(("positive_label", "negative_label"), TEXT),
            **dict.fromkeys(("positive", "negative"), ("object", "objects", "paths", "clips")),
            "model": ANY, "batch_size": COUNT, "segment_seconds": REAL,
            "store": ("object", "special", "output"),
        },
    ),
    "load": _fixed(
        tonearm.load, name=("object", "special", "checkpoint"), device=TEXT, dtype=TEXT, engine=TEXT
    ),
    "load_vector": _fixed(tonearm.load_vector, path=("object", "special", "vector")),
    "load_bundle": _fixed(tonearm.load_bundle, path=("object", "special", "bundle")),
    "save_bundle": Function(
        lambda m: tonearm.save_bundle,
        lambda m: {"vectors": [m.vector], "path": "pack"},
        {"vectors": ("object", "objects"), "path": ("object", "special", "output")},
    ),
    "import_vector": Function(
        lambda m: sharing.import_vector,
        lambda m: {"path": m.file("energy.gguf"), "shape": m.model.shape},
        {
            **dict.fromkeys(("name", "site", "positive_label", "negative_label"), TEXT),
            **dict.fromkeys(("layers_from", "layer", "best_layer"), COUNT),
            "path": ("object", "special", "gguf", "layers", "svec", "embeddings"),
            "shape": ANY,
        },
    ),
    "export_gguf": Function(
        lambda m: sharing.export_gguf,
        lambda m: {"vector": m.vector, "path": "x.gguf", "without_layer_0": True},
        {
            "vector": ANY, "path": ("object", "special", "output"), "mode": TEXT, "alpha": REAL,
            "without_layer_0": ANY,
        },
    ),
    "push": Function(
        lambda m: sharing.push,
        lambda m: {
            "repository": "me/knobs", "files": [m.file("energy.safetensors")], "api": FakeHub(),
        },
        {
            **dict.fromkeys(("repository", "revision", "tag", "licence", "base_model"), TEXT),
            "files": ("object", "objects", "paths"), "private": ANY, "api": ("hub",),
        },
    ),
    "pull": Function(
        lambda m: sharing.pull,
        lambda m: {"repository": "me/knobs", "api": _filled_hub(m)},
        {
            "repository": TEXT, "names": ("object", "names"), "revision": TEXT,
            "folder": ("object", "special", "output"), "force": ANY, "api": ("hub",),
        },
    ),
    "save_vector": Function(
        lambda m: tonearm.save_vector,
        lambda m: {"vector": m.vector, "path": "v"},
        {"vector": ANY, "path": ("object", "special", "output")},
    ),
    "replay": Function(
        lambda m: tonearm.replay,
        lambda m: {"sidecar": m.file("take.json"), "model": m.model},
        {
            **PROGRESS, "sidecar": ("object", "special", "sidecar"), "model": ANY,
            "continue_from": ("object", "special"), "melody": ("object", "special"),
            "checkpoint": ("object", "special"),
        },
    ),
    "VectorInfo": Function(
        lambda m: steering.VectorInfo,
        lambda m: m.vector.info.model_dump(),
        dict.fromkeys(steering.VectorInfo.model_fields, ("object",)),
    ),
    "as_steering": Function(
        lambda m: steering.as_steering,
        lambda m: {"steer": "energy=1"},
        {"steer": STEER_KINDS, "combine": TEXT},
    ),
    "parse_short": _fixed(steering.parse_short, text=("object", "steer", "name")),
    "ClapScoring": Function(
        lambda m: measures.ClapScoring,
        lambda m: {"clap": _clap(m), "labels": ("jazz", "rock")},
        {
            "clap": ANY, "labels": ("object", "names", "objects"), "template": TEXT, "texts": ANY,
            "classifiers": ("object", "objects"),
        },
    ),
    "ClapScoring.scores": Function(
        lambda m: measures.ClapScoring(_clap(m), labels=("jazz", "rock")).scores,
        lambda m: {"path": Path("a.wav"), "clip": m.clip},
        {"path": ANY, "clip": CLIP},
    ),
    "Classifier.probabilities": Function(
        lambda m: m.classifier.probabilities, kinds={"rows": ("object", "array")}
    ),
    "ClipAnalysis": Function(
        lambda m: measures.ClipAnalysis, lambda m: {"clip": m.clip}, {"clip": CLIP, "tracker": ANY}
    ),
    "ClipAnalysis.estimate": Function(
        lambda m: measures.ClipAnalysis(m.clip).estimate, kinds={"measure": ANY}
    ),
    "ClipAnalysis.resampled_mono": Function(
        lambda m: measures.ClipAnalysis(m.clip).resampled_mono, kinds={"sample_rate": COUNT}
    ),
    "Measure": Function(
        lambda m: measures.Measure,
        lambda m: {"name": "x", "unit": "s", "protocol": "p", "estimate": lambda clip: 1.0},
        {"name": TEXT, "unit": TEXT, "protocol": TEXT, "estimate": ANY},
    ),
    "Measure.measurements": Function(
        lambda m: measures.measures()[0].measurements, kinds={"analysis": ANY}
    ),
    "Measure.of": Function(lambda m: measures.measures()[0].of, kinds={"clip": CLIP}),
    "TempoEstimate.of_beats": Function(
        lambda m: measures.TempoEstimate.of_beats,
        lambda m: {"beats": np.arange(8.0), "tracker": "x"},
        {"beats": ("object", "array"), "tracker": TEXT, "confidence": REAL},
    ),
    **{
        name: _of_clip(getattr(measures, name))
        for name in measures.__all__
        if name == "faults"
        or list(inspect.signature(getattr(measures, name)).parameters) == ["clip"]
    },
    "measure_comb_buzz": Function(
        lambda m: measures.measure_comb_buzz,
        lambda m: {"clip": m.clip},
        {"clip": CLIP, "frame_rates": ("object", "array", "reals")},
    ),
    "measure_tempo": Function(
        lambda m: measures.measure_tempo,
        lambda m: {"clip": m.clip},
        {"clip": CLIP, "tracker": ANY},
    ),
    "measure_notes": Function(
        lambda m: measures.measure_notes,
        lambda m: {"clip": m.clip},
        {"clip": CLIP, "transcriber": ANY},
    ),
    "measure_tags": Function(
        lambda m: measures.measure_tags,
        lambda m: {"clip": m.clip},
        {"clip": CLIP, "tagger": ANY},
    ),
    "fitted_bpm": _fixed(measures.fitted_bpm, beats=("object", "array")),
    "median_bpm": _fixed(measures.median_bpm, beats=("object", "array")),
    "is_right_tempo": Function(
        lambda m: measures.is_right_tempo,
        lambda m: {"estimated": 120.0, "true": 120.0},
        {"estimated": REAL, "true": REAL, "any_octave": ANY},
    ),
    "tempo_accuracy": Function(
        lambda m: measures.tempo_accuracy,
        lambda m: {"estimated": [120.0], "true": [120.0]},
        {"estimated": ("object", "array", "reals"), "true": ("object", "array", "reals")},
    ),
    "chroma_similarity": Function(
        lambda m: measures.chroma_similarity,
        lambda m: {"first": [[1.0] * 12], "second": [[1.0] * 12]},
        {"first": ("object", "array", "reals"), "second": ("object", "array", "reals")},
    ),
    "mean_chroma_similarity": Function(
        lambda m: measures.mean_chroma_similarity,
        lambda m: {"first": [1.0] * 12, "second": [1.0] * 12},
        {"first": ("object", "array", "reals"), "second": ("object", "array", "reals")},
    ),
    "note_agreement": Function(
        lambda m: measures.note_agreement,
        lambda m: {"first": [[0.0, 1.0, 60.0]], "second": [[0.0, 1.0, 60.0]]},
        {
            "first": ("object", "array", "reals"),
            "second": ("object", "array", "reals"),
            "any_octave": ANY,
            "seconds": REAL,
        },
    ),
    "pitch_class_overlap": Function(
        lambda m: measures.pitch_class_overlap,
        lambda m: {"first": [[0.0, 1.0, 60.0]], "second": [[0.0, 1.0, 60.0]]},
        {"first": ("object", "array", "reals"), "second": ("object", "array", "reals")},
    ),
    "load_classifier": _fixed(measures.load_classifier, path=("object", "special", "classifier")),
    "save_classifier": Function(
        lambda m: measures.save_classifier,
        lambda m: {"classifier": m.classifier, "path": Path("k.safetensors")},
        {"classifier": ANY, "path": ("object", "special", "output")},
    ),
    "measure_clap_score": Function(
        lambda m: measures.measure_clap_score,
        lambda m: {"clip": m.clip, "clap": _clap(m), "text": "jazz"},
        {"clip": CLIP, "clap": ANY, "text": TEXT},
    ),
    "measure_clap_scores": Function(
        lambda m: measures.measure_clap_scores,
        lambda m: {"clips": [m.clip], "clap": _clap(m), "texts": ["jazz"]},
        {"clips": ("object", "clips"), "clap": ANY, "texts": ("object", "names")},
    ),
    "measure_classifier": Function(
        lambda m: measures.measure_classifier,
        lambda m: {"clip": m.clip, "classifier": m.classifier, "embedder": _clap(m)},
        {"clip": CLIP, "classifier": ANY, "embedder": ANY},
    ),
    "measure_classifiers": Function(
        lambda m: measures.measure_classifiers,
        lambda m: {"clips": [m.clip], "classifier": m.classifier, "embedder": _clap(m)},
        {"clips": ("object", "clips"), "classifier": ANY, "embedder": ANY},
    ),
    "measure_zero_shot": Function(
        lambda m: measures.measure_zero_shot,
        lambda m: {"clip": m.clip, "clap": _clap(m), "labels": ["jazz", "rock"]},
        {"clip": CLIP, "clap": ANY, "labels": ("object", "names"), "template": TEXT},
    ),
    "measure_zero_shots": Function(
        lambda m: measures.measure_zero_shots,
        lambda m: {"clips": [m.clip], "clap": _clap(m), "labels": ["jazz", "rock"]},
        {"clips": ("object", "clips"), "clap": ANY, "labels": ("object", "names"), "template": TEXT},
    ),
    "measure_distances": Function(
        lambda m: measures.measure_distances,
        lambda m: {"clips": _rows(m), "reference": _rows(m)},
        {"clips": ANY, "reference": ANY, "fad": ANY, "kad": ANY, "extrapolate": ANY, "seed": COUNT},
    ),
    "measure_fad": Function(
        lambda m: measures.measure_fad,
        lambda m: {"clips": _rows(m), "reference": _rows(m)},
        {"clips": ANY, "reference": ANY, "extrapolate": ANY, "seed": COUNT},
    ),
    "measure_kad": Function(
        lambda m: measures.measure_kad,
        lambda m: {"clips": _rows(m), "reference": _rows(m)},
        {"clips": ANY, "reference": ANY},
    ),
    "measure_files": Function(
        lambda m: tonearm.measure_files,
        lambda m: {"paths": [m.file("clicks.wav")]},
        {**PROGRESS, "paths": ("object", "objects", "paths"), "tracker": ANY, "scoring": ANY,
         "tagger": ANY, "transcriber": ANY},
    ),
    "measures": Function(lambda m: measures.measures),
    "register": _fixed(measures.register, measure=ANY),
    "train_classifier": Function(
        lambda m: measures.train_classifier,
        lambda m: {
            "name": "x", "rows": np.random.default_rng(0).normal(size=(20, 4)),
            "labels": ["a", "b"] * 10, "tracks": [str(i) for i in range(20)], "embedder": _clap(m),
        },
        {
            "name": TEXT, "rows": ("object", "array"), "labels": ("object", "names"),
            "tracks": ("object", "names"), "embedder": ANY, "seed": COUNT,
        },
    ),
    "train_from_folders": Function(
        lambda m: measures.train_from_folders,
        lambda m: {"name": "x", "folders": [m.corpus], "embedder": _clap(m)},
        {
            **PROGRESS, "name": TEXT, "folders": ("object", "objects", "paths"), "embedder": ANY,
            "label": TEXT, "where": ANY, "layout": TEXT, "seed": COUNT,
        },
    ),
}  # fmt: skip

# Commands that run until they are ended; tests/studio, tests/harp, tests/mcp_server and tests/cli
# send them bad input.
SERVING = ("harp", "live", "mcp", "studio")

# They hold their arguments as given, and are checked in use: a clip of NaN has a fault.
HOLDING_ARGUMENTS = {"Clip", "TakeRequest"}
# Results and errors, which the library makes and users read.
MADE_BY_TONEARM = {
    "Comparison", "Exported", "Outcome", "Pulled", "Pushed", "Reached", "Stream", "Take", "TonearmError", "FAD", "KAD", "Classifier", "Description",
    "HeldTones", "KeyEstimate", "MeasuredFile", "Measurement", "NoteAgreement", "Notes", "Prediction", "Tags", "TempoAccuracy", "TempoEstimate",
    "ZeroShot", "Site", "SteeringLike",
}  # fmt: skip


def public_functions() -> set[str]:
    """Names of all public functions, classes and methods."""
    names = set()
    for module in (tonearm, steering, measures, sharing):
        for name in module.__all__:
            found = getattr(module, name)
            if isinstance(found, type):
                names |= {f"{name}.{method}" for method in _methods(found)}
            if callable(found):
                names.add(name)
    return names


def _methods(owner: type) -> list[str]:
    return [
        name
        for name, found in vars(owner).items()
        if not name.startswith("_")
        and callable(getattr(owner, name))
        and not isinstance(found, type)
        and name != "to_dict"
    ]


def _directions(rng: Random, materials: Path, folder: Path) -> Any:
    """Directions of a vector with odd layers, types or shapes."""
    layer = rng.choice((0, 0, 1, -1, 10**6, "0", 0.5, None))
    return {layer: rng.choice((bad_values.bad_array(rng), torch.zeros(32), torch.ones(32) / 0, 3))}


def _hub(rng: Random, materials: Path, folder: Path) -> FakeHub:
    """A hub in memory that is empty, or whose files are damaged or have odd names."""
    names = ("energy.safetensors", "../x.safetensors", "/x.safetensors", f"{bad_values.CONTROLS}.s")
    content = bad_files.vector(rng, materials, folder).read_bytes()
    hub = FakeHub(token=rng.choice(("hf_x", None)))
    if rng.random() < 0.8:
        files = dict.fromkeys(rng.sample(names, rng.randrange(len(names))), content)
        hub.commits["me/knobs"], hub.private["me/knobs"] = [files], False
    return hub


def _negative_length(rng: Random, materials: Path, folder: Path) -> Any:
    value = bad_values.bad_real(rng)
    return -1.0 if value is None else value


KINDS |= {
    "hub": (_hub, 16),
    "directions": (_directions, 10),
    "negative_length": (_negative_length, 10),
}
