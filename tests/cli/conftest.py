"""The command line in a folder of its own, on tiny checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.evaluators import tiny_clap
from tests.measures.sounds import clicks, noise, tone
from tonearm.audio import Clip
from tonearm.cli import main
from tonearm.methods.learn import learn
from tonearm.model import Model
from tonearm.steering import SteeringVector, save_vector

RATE = 1600


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def energy(loaded_model: Callable[[str], Model]) -> SteeringVector:
    return learn(
        loaded_model("melody"),
        ["a fast tune", "a quick piece"],
        ["a slow tune", "a calm piece"],
        "energy",
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, energy: SteeringVector) -> Path:
    """The current folder, with a vector, prompts and audio in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    save_vector(energy, tmp_path / "energy.safetensors")
    (tmp_path / "fast.txt").write_text("a fast folk tune\na quick jazz piece\n")
    (tmp_path / "slow.txt").write_text("a slow folk tune\na calm jazz piece\n")
    tone = 0.3 * np.sin(np.arange(RATE) * 2 * np.pi * 220 / RATE)
    Clip(tone, RATE).write(tmp_path / "tone.wav")
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def tiny(folder_of: Callable[[str], Path]) -> Callable[[str], list[str]]:
    """The options that make a command small: a tiny checkpoint on the CPU."""
    return lambda variant="melody": ["--model", str(folder_of(variant))]


@pytest.fixture
def play(run: Run, tiny: Callable[..., list[str]]) -> Run:
    """`tonearm generate "a folk tune"` of half a second with seed 7, and what is given."""
    return lambda *more: run(
        "generate", "a folk tune", "--seconds", 0.5, "--seed", 7, *tiny(), *more
    )


@pytest.fixture(scope="session")
def clap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLAP checkpoint with random weights."""
    return tiny_clap.save_tiny(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def sounds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """sounds/ with a click track at 120 BPM, a tone and noise, and an empty cache."""
    monkeypatch.setenv("TONEARM_CACHE", str(folder / "cache"))
    clicks(120).write(folder / "sounds" / "clicks.wav")
    tone(440, 3).write(folder / "sounds" / "tone.flac")
    noise(3).write(folder / "sounds" / "noise.wav")
    return folder / "sounds"


@pytest.fixture
def corpus(sounds: Path) -> Path:
    """corpus/noise and corpus/tone, six files each."""
    for i in range(6):
        noise(0.5, seed=i).write(sounds.parent / "corpus" / "noise" / f"{i}.wav")
        tone(330 + 4 * i, 0.5).write(sounds.parent / "corpus" / "tone" / f"{i}.wav")
    return sounds.parent / "corpus"
