"""Embedding of audio files: sets, references and labelled corpora, with unreadable files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.evaluators.embedders import Statistics
from tests.measures.sounds import noise, silence, tone
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.corpora import embed_corpus, embed_files, embed_reference


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Folders noise/ and tone/ with two files each."""
    for i in range(2):
        noise(0.5, seed=i).write(tmp_path / "noise" / f"{i}.wav")
        tone(300 + i, 0.5).write(tmp_path / "tone" / f"{i}.wav")
    return tmp_path


def test_files_become_one_set_in_order_with_progress(corpus: Path) -> None:
    progress: list[tuple[int, int]] = []
    found, failures = embed_files(
        [corpus / "noise"], Statistics(), lambda done, total: progress.append((done, total))
    )
    expected = Statistics().embed([noise(0.5, seed=0), noise(0.5, seed=1)])
    np.testing.assert_allclose(found.rows, expected, atol=1e-6)
    assert (found.embedder, found.source, failures) == ("statistics, whole clip", "noise", ())
    assert progress == [(0, 2), (1, 2), (2, 2)]


def test_an_unreadable_file_is_a_failure_of_a_set_and_an_error_of_a_reference(corpus: Path) -> None:
    (corpus / "noise" / "broken.wav").write_text("")
    found, failures = embed_files([corpus / "noise"], Statistics())
    assert len(found) == 2 and [failure.path.name for failure in failures] == ["broken.wav"]
    with pytest.raises(TonearmError, match=r"cannot be used: .*broken.wav"):
        embed_reference(corpus / "noise", Statistics())


def test_a_set_without_a_readable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TonearmError, match="no file could be embedded"):
        embed_files([tmp_path / "absent.wav"], Statistics())


def test_a_reference_is_a_folder_or_a_file_of_embeddings(corpus: Path) -> None:
    np.save(corpus / "rows.npy", np.ones((3, 2)))
    assert len(embed_reference(corpus / "rows.npy", Statistics())) == 3
    assert embed_reference(corpus / "tone", Statistics()).source == "tone"
    with pytest.raises(TonearmError, match="no folder at"):
        embed_reference(corpus / "absent", Statistics())


class Refusing(Statistics):
    """An embedder that refuses clips of more than half a second."""

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        if any(clip.seconds > 0.5 for clip in clips):
            raise TonearmError("too long")
        return super().embed(clips)


def test_a_clip_that_the_embedder_refuses_is_left_out(corpus: Path) -> None:
    noise(1.0).write(corpus / "noise" / "long.wav")
    found = embed_corpus([corpus], Refusing())
    (skipped,) = found.skipped
    assert len(found.rows) == 4 and "long.wav: too long" in skipped.detail
    rows, failures = embed_files([corpus / "noise"], Refusing())
    assert len(rows) == 2 and [failure.reason for failure in failures] == [skipped.detail]


def test_silent_and_unreadable_files_of_a_corpus_are_left_out(corpus: Path) -> None:
    (corpus / "noise" / "broken.wav").write_text("")
    silence().write(corpus / "tone" / "silent.wav")
    found = embed_corpus([corpus], Statistics())
    assert found.labels == ("noise", "noise", "tone", "tone")
    assert found.rows.shape == (4, 3) and len(set(found.tracks)) == 4
    assert {one.reason: Path(one.names[0]).name for one in found.skipped} == {
        "unreadable": "broken.wav",
        "silent": "silent.wav",
    }


def test_a_corpus_without_a_usable_file_is_refused_with_the_reasons(corpus: Path) -> None:
    for file in corpus.rglob("*.wav"):
        file.write_text("")
    with pytest.raises(TonearmError, match=r"no file with sound in .*: 4 unreadable \(cannot read"):
        embed_corpus([corpus], Statistics())


def test_the_label_is_a_column_and_other_columns_select(corpus: Path) -> None:
    rows = "noise/0.wav,a,1\nnoise/1.wav,b,1\ntone/0.wav,a,2\ntone/1.wav,b,2\n"
    (corpus / "metadata.csv").write_text(f"file_name,kind,part\n{rows}")
    found = embed_corpus([corpus], Statistics(), label="kind", where={"part": "2"})
    assert found.labels == ("a", "b")
    np.testing.assert_allclose(found.rows[0], Statistics().embed([tone(300, 0.5)])[0], atol=1e-6)


def test_tracks_of_one_piece_count_as_one(corpus: Path) -> None:
    rows = [f"{kind}/{i}.wav,{kind},{i}" for kind in ("noise", "tone") for i in range(2)]
    (corpus / "metadata.csv").write_text("\n".join(["file_name,label,piece", *rows]))
    found = embed_corpus([corpus], Statistics())
    assert found.labels == ("noise", "noise", "tone", "tone")
    assert found.tracks == ("0", "1", "0", "1")
