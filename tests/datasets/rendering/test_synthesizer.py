"""FluidSynth: one line where it is missing, and rendered notes of the right frequency."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.rendering.test_recipes import fundamental
from tonearm.datasets.rendering.compose import LEAD, Note, compose
from tonearm.datasets.rendering.corpus import render_corpus
from tonearm.datasets.rendering.synthesizer import (
    SOUND_FONTS,
    Renderer,
    find_sound_font,
    load_fluidsynth,
)
from tonearm.errors import TonearmError

ROOT = Path(__file__).parents[3]
FLUTE = {LEAD: 73}
A4 = [Note(0, 25, LEAD, 69, 100)]


@pytest.fixture
def font() -> Path:
    """FluidR3, where FluidSynth is installed."""
    try:
        load_fluidsynth()
        return find_sound_font()
    except TonearmError as error:
        pytest.skip(str(error))


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(TonearmError, match=r'^pyfluidsynth is not .*"tonearm\[render\]"'):
        load_fluidsynth()
    monkeypatch.setitem(sys.modules, "fluidsynth", pytest)
    with pytest.raises(TonearmError, match="is not pyfluidsynth"):
        load_fluidsynth()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "fluidsynth.py").write_text('raise ImportError("Couldn\'t find the library.")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    with pytest.raises(TonearmError, match=r"^libfluidsynth is not installed"):
        load_fluidsynth()


def test_a_missing_sound_font_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TONEARM_SOUND_FONT", raising=False)
    monkeypatch.setattr(
        "tonearm.datasets.rendering.synthesizer.SOUND_FONTS", (str(tmp_path / "absent.sf2"),)
    )
    with pytest.raises(TonearmError, match="apt-get install fluid-soundfont-gm"):
        find_sound_font()
    monkeypatch.setenv("TONEARM_SOUND_FONT", str(tmp_path / "mine.sf2"))
    with pytest.raises(TonearmError, match=r"no sound font at .*mine\.sf2"):
        find_sound_font()
    (tmp_path / "mine.sf2").write_text("no font")
    with pytest.raises(TonearmError, match=r"mine\.sf2 is no sound font"):
        find_sound_font()


def test_the_environment_names_a_sound_font(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.sf2").write_bytes(b"RIFF\0\0\0\0sfbk")
    monkeypatch.setenv("TONEARM_SOUND_FONT", str(tmp_path / "mine.sf2"))
    assert find_sound_font() == tmp_path / "mine.sf2"
    assert str(find_sound_font()) not in SOUND_FONTS


def test_a_cut_sound_font_is_refused(font: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.sf2").write_bytes(font.read_bytes()[:5000])
    with pytest.raises(TonearmError, match=r"FluidSynth cannot load .*cut\.sf2"):
        Renderer(tmp_path / "cut.sf2")


def test_a_note_has_its_frequency_and_a_piece_its_length(font: Path) -> None:
    with Renderer(font, lazy=True) as renderer:
        audio = renderer.play(A4, FLUTE, 50)
        assert audio.shape == (32_000,) and audio.dtype == np.float32
        assert fundamental(audio[4_000:14_000], 16_000) == pytest.approx(440, rel=0.01)
        assert np.abs(audio[24_000:]).max() < 0.1 * np.abs(audio).max()  # the note has ended
        piece = renderer.render(compose(0))
    assert piece.shape == (163_840,) and 0.1 < np.abs(piece).max() <= 1


def test_a_new_synthesizer_renders_the_same_samples(font: Path) -> None:
    renders = []
    for _ in range(2):
        with Renderer(font, lazy=True) as renderer:
            renders.append([renderer.play(A4, FLUTE, 50) for _ in range(2)])
    for first, second in zip(*renders, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_rendered_corpus_resumes_with_the_same_files(font: Path, tmp_path: Path) -> None:
    def stopping(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    render_corpus("notes", tmp_path / "whole", clips=34)
    with pytest.raises(KeyboardInterrupt):
        render_corpus("notes", tmp_path / "cut", clips=34, progress=stopping)
    render_corpus("notes", tmp_path / "cut", clips=34)
    for file in (tmp_path / "whole").rglob("*.*"):
        assert (tmp_path / "cut" / file.relative_to(tmp_path / "whole")).read_bytes() == (
            file.read_bytes()
        )


CALLS_RAND = """
import ctypes, hashlib, os, sys
from tests.datasets.rendering.test_synthesizer import A4, FLUTE
from tonearm.datasets.rendering.synthesizer import Renderer

for _ in range(int(sys.argv[1])):
    ctypes.CDLL("msvcrt" if os.name == "nt" else None).rand()
with Renderer(lazy=True) as renderer:
    print(hashlib.sha256(renderer.play(A4, FLUTE, 50).tobytes()).hexdigest())
"""


def test_a_rendering_does_not_depend_on_what_ran_before_in_its_process(font: Path) -> None:
    """Dither is drawn from C's rand(), which any library may have called."""
    renders = [
        subprocess.run(
            [sys.executable, "-c", CALLS_RAND, str(calls)],
            check=True,
            capture_output=True,
            cwd=ROOT,
        ).stdout
        for calls in (0, 7)
    ]
    assert renders[0] == renders[1] != b""
