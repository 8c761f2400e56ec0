"""Bundles: members as exact as in their own files, damage refused in one line."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

import tonearm
from tests.steering.vectors import random_vector, vector_of
from tonearm.errors import TonearmError
from tonearm.steering import (
    Calibration,
    SignCalibration,
    Steering,
    load_bundle,
    load_vector,
    save_bundle,
    save_vector,
)
from tonearm.steering import bundle_file as bundles
from tonearm.steering.bundle_file import is_bundle, load_member


def calibrated(name: str = "tempo", **info):
    passing, failing = SignCalibration(strength=0.25), SignCalibration(failure="no effect")
    calibration = Calibration(positive=passing, negative=failing, protocol="n 50")
    return random_vector(name=name, calibration=calibration, **info)


@pytest.fixture
def vectors():
    return {
        "tempo": calibrated(positive_label="schnell — “fast”", scores={"auc": {0: 0.9}}),
        "mood": random_vector(layers=2, width=6, seed=1, site="attention", name="other name"),
        "größe 2": random_vector(seed=2, operator="remove", best_layer=None),
    }


@pytest.fixture
def pack(vectors, tmp_path) -> Path:
    return save_bundle(vectors, tmp_path / "pack")


def rewrite(path: Path, tensors=None, **changes: str | None) -> None:
    """Write the file with other tensors or metadata; None removes a key, `__` stands for `/`."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
        old = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    metadata |= {key.replace("__", "/"): value for key, value in changes.items()}
    kept = {key: value for key, value in metadata.items() if value is not None}
    safetensors.torch.save_file(old if tensors is None else tensors, path, metadata=kept)


def test_every_member_keeps_its_metadata_calibration_and_hashes(vectors, pack, tmp_path):
    again = load_bundle(pack)
    assert list(again) == list(vectors) and is_bundle(pack)
    for name, vector in vectors.items():
        for one in (again[name], load_member(pack, name)):
            assert one.info == vector.info and one.layers == vector.layers
            assert one.content_hash() == vector.content_hash()
            assert one.tensor_sha256() == vector.tensor_sha256()
        alone = load_vector(save_vector(again[name], tmp_path / "alone"))
        assert alone.info == vector.info and alone.content_hash() == vector.content_hash()


def test_a_member_is_stored_as_its_own_file_with_its_name_before_every_key(pack, tmp_path, vectors):
    file = save_vector(vectors["tempo"], tmp_path / "tempo")
    with (
        safetensors.safe_open(file, framework="pt") as own,
        safetensors.safe_open(pack, framework="pt") as packed,
    ):
        metadata = packed.metadata()
        stored = {k[6:]: v for k, v in metadata.items() if k.startswith("tempo/")}
        assert stored == own.metadata()
        keys = [key[6:] for key in packed.keys() if key.startswith("tempo/")]  # noqa: SIM118
        assert sorted(keys) == sorted(own.keys())
    assert json.loads(metadata["members"]) == ["tempo", "mood", "größe 2"]


def test_every_tensor_of_a_vector_file_is_carried(monkeypatch, tmp_path):
    """A vector file may hold tensors beside its directions."""
    real, seen = bundles.vector_content, {}

    def with_extra(vector):
        tensors, metadata = real(vector)
        return tensors | {"monitor.weights": torch.ones(2, 3)}, metadata

    def without_extra(where, tensors, metadata):
        seen.update(tensors)
        return real_of(where, {k: v for k, v in tensors.items() if "monitor" not in k}, metadata)

    real_of = bundles.vector_of
    monkeypatch.setattr(bundles, "vector_content", with_extra)
    monkeypatch.setattr(bundles, "vector_of", without_extra)
    load_bundle(save_bundle({"a": random_vector()}, tmp_path / "pack"))
    assert torch.equal(seen["monitor.weights"], torch.ones(2, 3))


def test_a_list_of_vectors_is_bundled_by_their_names(tmp_path):
    path = save_bundle([random_vector(name="a"), random_vector(name="b")], tmp_path / "pack")
    assert list(load_bundle(path)) == ["a", "b"]
    one = random_vector(name="a")
    with pytest.raises(TonearmError, match="two vectors are named 'a'"):
        save_bundle([one, one], tmp_path / "x")
    shared = {"a": one, "b": one}
    assert (
        load_bundle(save_bundle(shared, tmp_path / "twice"))["b"].content_hash()
        == one.content_hash()
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a bundle of 0 vectors"),
        ({"a/b": random_vector()}, "holds '/'"),
        ({"x.safetensors": random_vector()}, "ends in .safetensors"),
        ({"a": 3}, "give a SteeringVector"),
        ({3: random_vector()}, "give a text"),
        ("tempo", "vectors by name"),
        ([random_vector(name="a=b")], "holds '='"),
    ],
)
def test_other_things_are_not_bundled(given, message, tmp_path):
    with pytest.raises(TonearmError, match=message) as error:
        save_bundle(given, tmp_path / "pack")
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_too_many_and_too_large_vectors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_MEMBERS", 2)
    with pytest.raises(TonearmError, match="a bundle of 3 vectors; give 1 to 2"):
        save_bundle({name: random_vector() for name in "abc"}, tmp_path / "x")
    monkeypatch.setattr(bundles, "MAX_BYTES", 1000)
    with pytest.raises(TonearmError, match="make several bundles"):
        save_bundle({"a": random_vector()}, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_truncated_bundle_is_refused(pack):
    content = pack.read_bytes()
    for length in (0, 4, 100, len(content) - 1):
        pack.write_bytes(content[:length])
        with pytest.raises(TonearmError, match="cannot read"):
            load_bundle(pack)
        assert not is_bundle(pack)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tonearm_bundle": "2"}, "bundle format 2, this Tonearm reads 1"),
        ({"tonearm_bundle": None}, "not a bundle"),
        ({"members": None}, "cannot read members"),
        ({"members": "[]"}, "members is no list"),
        ({"members": '["tempo", "tempo"]'}, "members is no list"),
        ({"members": '["tempo", 3]'}, "members is no list"),
        ({"members": '["tempo", "mood"]'}, "'größe 2/.*' belongs to none"),
        ({"members": '["tempo", "mood", "größe 2", "absent"]'}, "#absent is .*not a Tonearm"),
        ({"members": '["../tempo"]'}, "holds '/'"),
        ({"tempo__name": None}, "pack.safetensors#tempo: name"),
        ({"tempo__tonearm_format": "9"}, "#tempo has vector format 9"),
        ({"tempo__fingerprint": "0" * 16}, "#tempo is damaged"),
        ({"tempo__tensor_sha256": "0" * 64}, "match the stored tensor sha256"),
        ({"tempo__content_hash": None}, "#tempo is damaged"),
        ({"tempo__calibration": "{"}, "calibration of .*#tempo"),
        ({"author": "me"}, "'author' belongs to none"),
        ({"strangers__name": "me"}, "'strangers/name' belongs to none"),
    ],
)
def test_wrong_metadata_are_refused_in_one_line(pack, changes, message):
    rewrite(pack, **changes)
    with pytest.raises(TonearmError, match=message) as error:
        load_bundle(pack)
    assert "\n" not in str(error.value) and str(pack) in str(error.value)


def test_changed_and_foreign_tensors_are_refused(pack):
    tensors = safetensors.torch.load_file(pack)
    changed = {"mood/layer.1": torch.nextafter(tensors["mood/layer.1"], torch.tensor(9.0))}
    rewrite(pack, tensors | changed)
    with pytest.raises(TonearmError, match="#mood is damaged"):
        load_bundle(pack)
    assert load_member(pack, "tempo").name == "tempo"  # the others are still whole
    rewrite(pack, tensors | {"weight": torch.ones(2)})
    with pytest.raises(TonearmError, match="'weight' belongs to none of its vectors"):
        load_bundle(pack)
    rewrite(pack, tensors | {"mood/weight": torch.ones(2)})
    with pytest.raises(TonearmError, match="the tensor 'weight', which is no layer"):
        load_member(pack, "mood")


def test_a_flipped_bit_anywhere_is_refused_or_harmless(pack, vectors):
    content = pack.read_bytes()
    for place in range(0, len(content), 17):
        damaged = bytearray(content)
        damaged[place] ^= 1
        pack.write_bytes(damaged)
        try:
            found = load_bundle(pack)
            hashes = {one.content_hash() for one in found.values()}
            assert hashes == {one.content_hash() for one in vectors.values()}
        except TonearmError as error:
            assert "\n" not in str(error)


def test_other_files_are_refused_as_bundles_and_bundles_as_vectors(pack, tmp_path):
    file = save_vector(random_vector(), tmp_path / "v")
    with pytest.raises(TonearmError, match="not a bundle"):
        load_bundle(file)
    with pytest.raises(TonearmError, match="no bundle at"):
        load_bundle(tmp_path)
    with pytest.raises(TonearmError, match=r"it is a bundle of vectors, and .*#NAME is one"):
        load_vector(pack)
    with pytest.raises(TonearmError, match="no vector 'nope'; there are tempo, mood, größe 2"):
        load_member(pack, "nope")
    assert not is_bundle(file) and not is_bundle(tmp_path) and not is_bundle(tmp_path / "absent")


def test_a_bundle_larger_than_any_is_refused_before_its_tensors_are_read(tmp_path):
    """A header for 8 GiB of zeros, in a sparse file."""
    path, size = tmp_path / "huge.safetensors", 2**33
    header = {
        "__metadata__": {"tonearm_bundle": "1", "members": '["a"]'},
        "a/layer.0": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]},
    }
    content = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        file.truncate(8 + len(content) + size)
    with pytest.raises(TonearmError, match="is larger than 256 MiB"):
        load_bundle(path)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failed_write_keeps_the_old_bundle(pack, monkeypatch, failure):
    before, real = pack.read_bytes(), Path.write_bytes

    def fail(self, content):
        real(self, content[:50])
        raise failure

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(type(failure) if isinstance(failure, KeyboardInterrupt) else TonearmError):
        save_bundle({"new": random_vector(seed=9)}, pack)
    assert pack.read_bytes() == before and [one.name for one in pack.parent.iterdir()] == [
        pack.name
    ]


def test_the_library_reads_a_member_and_reads_it_again_when_the_file_has_changed(melody, tmp_path):
    first, second = (vector_of(melody, "tempo", seed=seed) for seed in (0, 1))
    pack = save_bundle({"tempo": first, "mood": second}, tmp_path / "pack")
    name = f"{pack}#tempo"
    library = melody.vectors
    assert library[name].content_hash() == first.content_hash() and library[name] is library[name]
    save_bundle({"tempo": second}, pack)
    assert library[name].content_hash() == second.content_hash()
    with pytest.raises(TonearmError, match="no vector 'mood'; there are tempo"):
        library[f"{pack}#mood"]
    with pytest.raises(TonearmError, match="no bundle at"):
        library[f"{tmp_path}/absent.safetensors#tempo"]
    library.update(load_bundle(pack))
    assert library["tempo"].content_hash() == second.content_hash()


def test_a_file_whose_name_looks_like_a_reference_is_still_a_path(melody, tmp_path):
    file = save_vector(vector_of(melody, "odd"), tmp_path / "pack.safetensors#tempo.safetensors")
    assert melody.vectors[str(file)].name == "odd"


def test_a_vector_of_another_checkpoint_is_refused_at_use(melody, small, tmp_path):
    pack = save_bundle({"tempo": vector_of(small, "tempo")}, tmp_path / "pack")
    assert load_bundle(pack)
    with pytest.raises(TonearmError, match="was made for"):
        melody.vectors[f"{pack}#tempo"]


def test_a_take_that_was_steered_by_a_member_is_reproduced_from_its_own_files(melody, tmp_path):
    vector = vector_of(melody, "tempo")
    pack = save_bundle({"tempo": vector}, tmp_path / "pack")
    take = melody.generate("a calm tune", steer=f"{pack}#tempo=raw:1", seconds=0.4, seed=1)
    alone = melody.generate("a calm tune", steer={vector: "raw:1"}, seconds=0.4, seed=1)
    plain = melody.generate("a calm tune", seconds=0.4, seed=1)
    assert np.array_equal(take.codes, alone.codes) and not np.array_equal(take.codes, plain.codes)
    sidecar = take.save(tmp_path / "takes" / "take.wav")
    (record,) = json.loads(sidecar.read_text())["vectors"].items()
    assert record[0] == "tempo.safetensors" and record[1]["content_hash"] == vector.content_hash()
    assert str(tmp_path) not in sidecar.read_text()
    pack.unlink()
    (steer,) = Steering.from_file(sidecar).steers
    assert Path(steer.vector).is_file()
    assert np.array_equal(tonearm.replay(sidecar, model=melody).take.codes, take.codes)
