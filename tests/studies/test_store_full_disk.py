"""A store on a full disk: one line, nothing partial, and the next attempt continues."""

import sqlite3

import numpy as np
import pytest
import soundfile

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.studies.store import Store, StoredTrial, Values
from tonearm.studies.stored_audio import StoredAudio

AUDIO = StoredAudio.of(Clip(np.random.default_rng(0).uniform(-1, 1, 30_000), 16_000))
whole = soundfile.write


def fails(*arguments, **options):
    """As libsndfile fails where the disk is full before the end."""
    raise soundfile.LibsndfileError(2)


def cuts(share):
    """As libsndfile cuts a file without an error where the disk is full at the end."""

    def write(path, *arguments, **options):
        whole(path, *arguments, **options)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return write


@pytest.mark.parametrize("write", [fails, cuts(0.99), cuts(0.5), cuts(0.001), cuts(0)])
def test_audio_that_does_not_fit_is_refused_and_made_again(tmp_path, monkeypatch, write):
    with Store(tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(soundfile, "write", write)
            with pytest.raises(TonearmError, match=r"cannot write \S+flac: the disk is full") as e:
                store.add_take("k", {}, AUDIO, None)
        assert "\n" not in str(e.value) and not store.has_take("k")
        assert not [path for path in (tmp_path / "audio").rglob("*") if path.is_file()]
        store.add_take("k", {}, AUDIO, None)
        assert np.array_equal(store.clip("k").samples, AUDIO.clip.samples)


@pytest.mark.parametrize("length", [0, 3, 40, 1000, 20_000])
def test_a_damaged_audio_file_is_one_line(tmp_path, length):
    with Store(tmp_path) as store:
        store.add_take("k", {}, AUDIO, None)
        (file,) = (tmp_path / "audio").rglob("*.flac")
        file.write_bytes(file.read_bytes()[:length])
        with pytest.raises(TonearmError, match=r"missing or damaged|not the audio") as error:
            store.clip("k")
        assert str(file) in str(error.value) and "\n" not in str(error.value)


def fill(store):
    """Let the database grow no more."""
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")


def free(store):
    store._database.execute("PRAGMA max_page_count = 1000000")


def test_a_database_that_does_not_fit_keeps_what_it_has_and_continues(tmp_path):
    long = {"text": "x" * 100_000}
    with Store(tmp_path) as store:
        store.add_take("a", {}, AUDIO, np.ones((4, 10), int))
        store.set_study("s", {}, {"g": "1"})
        trials = [StoredTrial(key, ("g",), {}, {"i": key}) for key in "ab"]
        store.set_stage("s", "one", trials)
        values = [Values("a", "g", "1", {}, {"v": 1}), Values("b", "g", "1", {}, long)]
        attempts = [
            lambda: store.add_take("b", long, AUDIO, None),
            lambda: store.add_values(values),
            lambda: store.set_study("s", long, {"g": "1"}),
            lambda: store.set_stage("s", "one", [StoredTrial("a", ("g",), {}, long)]),
        ]
        before = list(store._database.iterdump())
        fill(store)
        for attempt in attempts:
            with pytest.raises(TonearmError, match="database or disk is full; free some space"):
                attempt()
            assert list(store._database.iterdump()) == before
        free(store)
        for attempt in attempts[:2]:
            attempt()
        assert [record["i"] for record in store.records("s")] == ["a", "b"]
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
