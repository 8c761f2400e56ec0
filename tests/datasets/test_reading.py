"""Clips of a corpus, and the count of those left out."""

from pathlib import Path

import pytest

from tests.measures.sounds import silence, tone
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.reading import skip_log, sounding_clips
from tonearm.datasets.skips import NO_FILE, SILENT, UNREADABLE, SkipLog, describe_skips


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus of two usable files, a broken, a silent and an absent one."""
    tone(330, 0.2).write(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("")
    silence(0.2).write(tmp_path / "c.wav")
    tone(440, 0.2).write(tmp_path / "e.wav")
    rows = "".join(f"{name}.wav,{name in 'ab'}\n" for name in "abcde")
    (tmp_path / "metadata.csv").write_text(f"file_name,label\n{rows}")
    return tmp_path


def test_unusable_files_are_counted_by_reason_and_progress_is_complete(folder: Path) -> None:
    corpus = read_corpus([folder])
    log, steps = skip_log(corpus), []
    read = sounding_clips(corpus, log, lambda done, total: steps.append((done, total)))
    assert [file.path.name for file, _ in read] == ["a.wav", "e.wav"]
    assert [(one.reason, [Path(name).name for name in one.names]) for one in log.skipped] == [
        (UNREADABLE, ["b.wav"]),
        (SILENT, ["c.wav"]),
        (NO_FILE, ["d.wav"]),
    ]
    assert not any(one.known for one in log.skipped)
    assert steps == [(done, 5) for done in range(6)]


def test_a_description_has_counts_and_the_first_example() -> None:
    log = SkipLog(known={SILENT})
    for name in "abc":
        log.add(SILENT, name, f"{name} is silent")
    log.add(UNREADABLE, "d", "cannot read d")
    assert describe_skips(log.skipped) == "3 silent (a is silent), 1 unreadable (cannot read d)"
    assert [one.known for one in log.skipped] == [True, False]
    assert log.skipped[0].to_dict() == {
        "reason": "silent",
        "count": 3,
        "names": ["a", "b", "c"],
    }
