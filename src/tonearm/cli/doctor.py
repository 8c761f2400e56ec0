"""tonearm doctor: check of the installation."""

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata, util

import typer

from tonearm.cli import _options
from tonearm.cli._screen import load_model, out, print_facts, print_json, quieten
from tonearm.errors import TonearmError
from tonearm.text import first_line


@dataclass(frozen=True)
class Check:
    """One check; `advice` is empty unless there is a problem."""

    name: str
    found: str
    advice: str = ""

    @property
    def is_problem(self) -> bool:
        return bool(self.advice)


def doctor(model: _options.ModelName = "pocket", as_json: _options.Json = False) -> None:
    """Check that Tonearm works here, with advice for every problem."""
    checks = []
    for check in _checks(model):
        checks.append(check)
        if not as_json:
            state = f"{'problem' if check.is_problem else 'ok':7}"
            print_facts({state: f"{check.name}: {check.found}\n{check.advice}".strip()})
    problems = sum(check.is_problem for check in checks)
    if as_json:
        print_json({"ok": not problems, "checks": [asdict(check) for check in checks]})
    else:
        out.print(
            "all is well" if not problems else f"{problems} problem{'s' if problems > 1 else ''}"
        )
    if problems:
        raise typer.Exit(1)


def _checks(model: str) -> Iterator[Check]:
    yield Check("python", platform.python_version())
    yield from _check_packages()
    yield _guarded("devices", "reinstall torch (https://pytorch.org)", _devices)
    # transformers imports torchaudio where it is installed, and torchaudio fails beside CPU-only
    # torch.
    yield _guarded(
        "MusicGen in transformers",
        "repair what it names; if that is torchaudio: pip uninstall torchaudio",
        _musicgen,
    )
    yield _guarded(model, "reinstall Tonearm, or give another --model", lambda: _plays(model))
    yield _optional_beats()
    yield _optional_fluidsynth()
    yield Check("audio files", "WAV, FLAC, OGG, MP3 and Opus, without ffmpeg")


def _check_packages() -> Iterator[Check]:
    from packaging.requirements import Requirement

    for line in metadata.requires("tonearm") or []:
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue  # an optional extra, or another Python's range
        advice = f'pip install "{needed.name}{needed.specifier}"'
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            yield Check(needed.name, "not installed", advice)
            continue
        fits = needed.specifier.contains(version, prereleases=True)
        yield Check(needed.name, f"{version} (needed: {needed.specifier})", "" if fits else advice)


def _guarded(name: str, advice: str, look: Callable[[], str]) -> Check:
    """A check that runs foreign code, which can fail in any way."""
    try:
        return Check(name, look())
    except TonearmError as error:
        return Check(name, str(error), advice)
    except Exception as error:
        return Check(name, f"{type(error).__name__}: {first_line(error)}", advice)


def _devices() -> str:
    import torch

    cuda = [
        f"cuda:{index} ({torch.cuda.get_device_name(index)})"
        for index in range(torch.cuda.device_count())
    ]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ", ".join([*cuda, *mps, f"cpu with {torch.get_num_threads()} threads"])


def _musicgen() -> str:
    quieten()
    import transformers

    from tonearm.musicgen.checkpoint import FAMILIES

    for family in FAMILIES.values():
        getattr(transformers, family.model_class)
    return "imports"


def _plays(name: str) -> str:
    """Two takes of 1 s; that they differ matters: some releases of transformers ignored the prompt."""
    from tonearm.generation.request import TakeRequest

    loaded = load_model(name, None, None)
    first, second = loaded.generate_batch(
        [
            TakeRequest(text, 0, seconds=1)
            for text in ("a fast folk tune with flute", "slow dark jazz with piano")
        ]
    )
    if (first.codes == second.codes).all():
        raise TonearmError("two prompts gave the same music: the prompt is ignored")
    return f"loads, plays {first.seconds:g} s, and follows the prompt"


def _optional_beats() -> Check:
    from tonearm.evaluators.beat_this import INSTALL

    there = util.find_spec("beat_this") is not None
    return Check("beat_this (optional)", "installed" if there else f"not installed: {INSTALL}")


def _optional_fluidsynth() -> Check:
    from tonearm.datasets.rendering.synthesizer import find_sound_font, load_fluidsynth

    try:
        load_fluidsynth()
        found = f"installed, with {find_sound_font().name}"
    except TonearmError as error:
        found = str(error)
    return Check("FluidSynth (optional)", found)
