"""Damaged sidecars, steering files and vectors: each is used, or refused in one line that names it.

The mutations are random with fixed seeds.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from tests.generation.test_take import noise, tone
from tests.steering.vectors import vector_of
from tonearm.cli import main
from tonearm.errors import TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.replaying import replay
from tonearm.steering import Schedule, Steer, Steering, load_vector, save_vector
from tonearm.steering.resolve import check_steering

COUNT = 80  # mutations of each kind
LONGEST = 1000  # characters of a message
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.5, 4096, 10**9, 2**63, 10**30, -(10**30), 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "x", "a" * 5000, "\0", "\ud800", "\x1b[2J", "..", "/", "/dev/zero", "nope.safetensors"),
    *([], {}, [[]], [None], ["x"], [10**9], list(range(300)), {"a": 1}, [[1, 0], [0, 1]]),
]
STEERS = [
    Steer(vector="x", strength=1.5, schedule=Schedule.ramp(0, 0.3)),
    Steer(vector="y", operator="rotate", strategy="all-to-all", layers=(0, 1)),
    Steer(vector="y", operator="clamp", low=-1, high=2.0, source_layer=1),
]


def places(content: Any, path: tuple = ()) -> Iterator[tuple]:
    if path:
        yield path
    if isinstance(content, dict | list):
        keys = content if isinstance(content, dict) else range(len(content))
        for key in keys:
            yield from places(content[key], (*path, key))


def mutated(text: bytes, chance: random.Random) -> bytes:
    """A JSON text with another value, without a key, with a key twice, or with damaged bytes."""
    kind = chance.random()
    if kind > 0.75:
        return damaged(text, chance)
    content = copy.deepcopy(json.loads(text))
    path = chance.choice(list(places(content)))
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    if kind < 0.55:
        parent[path[-1]] = copy.deepcopy(chance.choice(VALUES))
    elif kind < 0.7:
        del parent[path[-1]]
    else:
        written = json.dumps(content)
        return (written[:1] + '"seed": 1, "steers": [], ' + written[1:]).encode()
    return json.dumps(content).encode()


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Content that is cut off, has another byte, deep nesting, a long number or a part twice."""
    first, last = sorted(chance.randrange(len(content)) for _ in range(2))
    return chance.choice(
        [
            content[:first],
            content[:first] + bytes([chance.randrange(256)]) + content[first + 1 :],
            content[:first] + b"[" * 100_000 + content[first:],
            content[:first] + b"9" * 5000 + content[first:],
            content[:last] + content[first:],
            b"\xff\xfe" + content,
        ]
    )


def assert_used_or_refused(use: Callable[[Path], Any], path: Path) -> bool:
    """Whether the file was used."""
    try:
        use(path)
    except TonearmError as error:
        said = str(error)
        assert "\n" not in said and len(said) < LONGEST and str(path) in said, said[:2000]
        return False
    return True


@pytest.fixture
def model(melody):
    melody.vectors["x"] = vector_of(melody, "x")
    melody.vectors["y"] = vector_of(melody, "y", seed=1)
    return melody


@pytest.mark.parametrize("seed", range(2))
def test_mutated_sidecars(model, tmp_path, capsys, seed):
    take = model.generate(
        "calm", steer=STEERS, continue_from=noise(), melody=tone(), seconds=0.2, seed=5
    )
    measured = {"tempo": {"name": "tempo", "value": 3.5, "unit": "BPM"}}
    sources = [take.save(tmp_path / "a.wav", measured=measured).read_bytes()]
    requests = [TakeRequest(text, 5, seconds=0.2) for text in ("calm", "a fast tune")]
    requests[0] = replace(requests[0], negative="loud")
    second = list(model.generate_batch(requests))[1]
    sources.append(second.save(tmp_path / "b.wav").read_bytes())
    chance, path, used = random.Random(seed), tmp_path / "mutated.json", 0
    for _ in range(COUNT):
        path.write_bytes(mutated(chance.choice(sources), chance))
        used += assert_used_or_refused(lambda path: replay(path, model=model), path)
        assert main(["inspect", str(path), *chance.choice([[], ["--json"]])]) in (0, 2)
    assert 0 < used < COUNT / 2


def test_mutated_steering_files(model, tmp_path):
    source = Steering(steers=tuple(STEERS)).model_dump_json().encode()
    chance, path, used = random.Random(0), tmp_path / "mutated.json", 0

    def use(path: Path) -> None:
        steering = Steering.from_file(path)
        try:
            names = {steer.vector for steer in steering.steers}
            check_steering(steering, {name: model.vectors[name] for name in names}, model.shape)
        except TonearmError as error:  # about a vector or layer, not about the file
            raise TonearmError(f"{path}: {error}") from None

    for _ in range(3 * COUNT):
        path.write_bytes(mutated(source, chance))
        used += assert_used_or_refused(use, path)
    assert 0 < used < COUNT


def test_mutated_vectors(model, tmp_path, capsys):
    source = save_vector(model.vectors["x"], tmp_path / "x.safetensors")
    with safetensors.safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata())
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    chance, path, used = random.Random(0), tmp_path / "mutated.safetensors", 0
    for _ in range(3 * COUNT):
        if chance.random() < 0.3:
            path.write_bytes(damaged(source.read_bytes(), chance))
        else:
            path.write_bytes(_mutated_vector(dict(metadata), dict(tensors), chance))
        used += assert_used_or_refused(load_vector, path)
        assert main([chance.choice(["inspect", "vectors"]), str(path)]) in (0, 2)
    assert 0 < used < 2 * COUNT


def _mutated_vector(
    metadata: dict[str, str], tensors: dict[str, torch.Tensor], chance: random.Random
) -> bytes:
    key, layer = chance.choice(list(metadata)), chance.choice(list(tensors))
    kind, tensor = chance.random(), tensors[layer]
    if kind < 0.5:
        value = json.dumps(chance.choice(VALUES))
        metadata[key] = chance.choice([value, value.strip('"')])
    elif kind < 0.6:
        del metadata[key]
    elif kind < 0.9:
        dtype = chance.choice([torch.float64, torch.int32, torch.bool, torch.complex64])
        tensors[layer] = chance.choice(
            [
                torch.empty(0),
                tensor * float("nan"),
                tensor[None],
                tensor.repeat(2),
                tensor.to(dtype),
            ]
        )
    else:
        del tensors[layer]
        tensors |= chance.choice([{}, {"layer.9": tensor}, {"layer.-1": tensor}, {"w": tensor}])
    return safetensors.torch.save(tensors, metadata)
