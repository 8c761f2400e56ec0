from pathlib import Path

import numpy as np
import pytest

from tests.evaluators.embedders import Statistics
from tests.measures.sounds import noise, tone
from tonearm.errors import TonearmError
from tonearm.evaluators.cache import CachedEmbedder
from tonearm.evaluators.embedding_set import GIVEN, EmbeddingSet
from tonearm.files.cache_folder import CACHE_VARIABLE, cache_folder


def test_a_set_of_clips_records_its_embedder_and_source() -> None:
    found = EmbeddingSet.of_clips([noise(), tone(440)], Statistics(), "two sounds")
    assert (found.embedder, found.source, len(found), found.width) == (
        "statistics, whole clip",
        "two sounds",
        2,
        3,
    )
    assert found.rows.dtype == np.float64


def test_rows_in_files_are_read(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "a.npz", rows=rows)
    for name in ("a.npy", "a.npz"):
        found = EmbeddingSet.read(tmp_path / name)
        np.testing.assert_array_equal(found.rows, rows)
        assert (found.embedder, found.source) == (GIVEN, name)


def test_files_without_rows_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("not an array")
    (tmp_path / "text.npz").write_text("not an archive")
    np.save(tmp_path / "flat.npy", np.zeros(4))
    np.save(tmp_path / "nan.npy", np.full((2, 2), np.nan))
    np.save(tmp_path / "words.npy", np.array([["a", "b"]]))
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    for path in [*tmp_path.iterdir(), tmp_path / "absent.npy"]:
        with pytest.raises(TonearmError) as caught:
            EmbeddingSet.read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rows",
    [
        None,
        "rows",
        [["a", "b"]],
        np.ones((2, 2), complex),
        [[1.0], [1.0, 2.0]],
        [[None, 1.0]],
        np.full((2, 2), 1e31),
        np.ones((2, 2, 2)),
        np.empty((0, 2)),
    ],
)
def test_rows_that_are_no_embeddings_are_refused(rows: object) -> None:
    with pytest.raises(TonearmError, match="embeddings of mine") as caught:
        EmbeddingSet(rows, "an embedder", "mine")
    assert "\n" not in str(caught.value)


def test_each_clip_is_embedded_once(tmp_path: Path) -> None:
    embedder = Statistics()
    cached = CachedEmbedder(embedder, tmp_path)
    clips = [noise(seed=0), noise(seed=1), noise(seed=2)]
    first = cached.embed(clips[:2])
    both = cached.embed(clips)
    again = CachedEmbedder(Statistics(), tmp_path).embed(clips)
    assert embedder.calls == [2, 1]
    np.testing.assert_array_equal(first, both[:2])
    np.testing.assert_array_equal(again, Statistics().embed(clips))


def test_the_cache_key_is_samples_rate_and_embedder(tmp_path: Path) -> None:
    clip = noise()
    CachedEmbedder(Statistics(), tmp_path).embed([clip])
    others = [
        (Statistics(fingerprint="two"), clip),
        (Statistics(), type(clip)(clip.samples, 8_000)),
        (Statistics(), type(clip)(clip.samples * np.float32(0.999), clip.sample_rate)),
        (Statistics(), type(clip)(clip.samples.reshape(2, -1), clip.sample_rate)),
    ]
    for embedder, other in others:
        CachedEmbedder(embedder, tmp_path).embed([other])
        assert embedder.calls == [1]


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: bytes | None) -> None:
    expected = CachedEmbedder(Statistics(), tmp_path).embed([noise()])
    (entry,) = tmp_path.rglob("*.npz")
    content = bytearray(entry.read_bytes())
    content[content.index(expected.tobytes())] ^= 0xFF  # one byte of one number
    entry.write_bytes(bytes(content) if damage is None else damage)
    embedder = Statistics()
    np.testing.assert_array_equal(CachedEmbedder(embedder, tmp_path).embed([noise()]), expected)
    assert embedder.calls == [1]
    assert not list(tmp_path.rglob("*.part*"))


def test_the_folder_is_the_platforms_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    CachedEmbedder(Statistics()).embed([noise()])
    assert list((tmp_path / "mine").rglob("*.npz"))
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_folder().name.lower().startswith(("tonearm", "cache"))
