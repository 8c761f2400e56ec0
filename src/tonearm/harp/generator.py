"""Generation of takes for HARP's requests, with their labels and files; it knows no protocol."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.load import load_tracker
from tonearm.files.free_name import free_name
from tonearm.generation.request import TakeRequest
from tonearm.generation.take import Take, new_music
from tonearm.harp.labels import BLUE, GREY, ORANGE, RED, Label
from tonearm.harp.panel import CONTINUE, DEFAULT_SECONDS, MAX_SECONDS, HarpRequest
from tonearm.knobs.goals import known_change
from tonearm.knobs.reaching import TRACKER
from tonearm.knobs.readers import reader_of
from tonearm.live.desk import steering_of
from tonearm.live.manifest import Knob
from tonearm.measures.describe import Description, describe
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import Steering
from tonearm.steering.controls import GUIDANCE, TEMPERATURE
from tonearm.steering.units import unit_of

DESCRIBED = ("tempo", "key", "loudness")  # measures in the label of the new music


@dataclass(frozen=True)
class GeneratedTake:
    """A generated take: its audio file, next to which its sidecar is, and its labels."""

    path: Path
    labels: tuple[Label, ...]


class TakeGenerator:
    """Generates takes of one model.

    Args:
        model: to generate with.
        knobs: on the panel.
        folder: that receives the takes.
    """

    def __init__(self, model: Model, knobs: Sequence[Knob], folder: Path):
        self._model, self._knobs, self._folder = model, knobs, folder

    def make(
        self, selection: Clip | None, request: HarpRequest, progress: Progress
    ) -> GeneratedTake:
        """Generate a take, measure it, and write it with its sidecar.

        Args:
            selection: audio that is continued, or whose melody is kept; None without.
            request: of `Panel.read`.
            progress: called with frames done and frames in all, and between measurements; it may
                raise an error to stop the work.

        Raises:
            TonearmError: a melody without a selection, a selection whose length cannot be that of
                the new music, or any mistake in the request, before decoding starts.
        """
        knobs = [knob for knob in self._knobs if request.values[knob.target]]
        requests = self._requests(selection, request, knobs)
        steered, *plain = self._model.generate_batch(
            requests, batch_size=len(requests), progress=progress
        )
        start = max(0.0, steered.seconds - steered.provenance.new_seconds)
        changes = []
        for knob in knobs:
            progress(1, 1)
            changes.append(_change(knob, request, steered, plain[0] if plain else None))
        progress(1, 1)
        found = describe(steered.clip)
        progress(1, 1)
        path = free_name(self._folder, "take", ".wav")
        steered.save(path, measured=found.to_dict())
        new = describe(new_music(steered)) if start else found
        labels = _labels(steered, start, request, changes, new, path)
        return GeneratedTake(path, tuple(labels))

    def _requests(
        self, selection: Clip | None, request: HarpRequest, knobs: Sequence[Knob]
    ) -> list[TakeRequest]:
        """The steered take, and its plain twin where the change by knobs is to be measured."""
        if request.keeps_melody and selection is None:
            raise TonearmError(
                f"there is no selection whose melody could be kept; load one, or choose {CONTINUE}"
            )
        steerings = [steering_of(knobs, request.values)]
        if request.is_measured and knobs:
            steerings.append(Steering())
        seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        return [
            TakeRequest(
                request.prompt,
                seed,
                steering,
                self._model.sampling(request.values[GUIDANCE], request.values[TEMPERATURE]),
                seconds=request.seconds or _length_of(selection),
                continue_from=None if request.keeps_melody else selection,
                melody=selection if request.keeps_melody else None,
            )
            for steering in steerings
        ]


def _length_of(selection: Clip | None) -> float:
    """Seconds of new music that are as long as the selection."""
    if selection is None:
        return DEFAULT_SECONDS
    if selection.seconds > MAX_SECONDS:
        raise TonearmError(
            f"the selection lasts {selection.seconds:.0f} s, but at most {MAX_SECONDS:g} s of new "
            "music are possible; set Seconds, or select less"
        )
    return selection.seconds


def _change(knob: Knob, request: HarpRequest, steered: Take, plain: Take | None) -> str:
    """A knob with its value and, against the plain twin, the measured change of the new music."""
    unit = f" {knob.unit}" if knob.unit else ""
    asked = f"{knob.name} {request.values[knob.target]:+.{knob.decimals}f}{unit}"
    if plain is None or not knob.measure:
        return asked
    reader = reader_of(knob.measure, load_tracker(TRACKER))
    values = [reader(new_music(one)) for one in (plain, steered)]
    change = known_change(unit_of(knob.measure), *values)
    if change is None:
        return f"{asked}: no change can be measured"
    return f"{asked}: measured {change:+.{knob.decimals}f}{unit}"


def _labels(
    take: Take,
    start: float,
    request: HarpRequest,
    changes: Sequence[str],
    found: Description,
    path: Path,
) -> list[Label]:
    """Labels of a take: the selection, the new music with its measurements, each knob, the faults."""
    new, seed = take.seconds - start, take.provenance.seed
    labels = []
    if start:
        text = f"the last {start:.1f} s of the selection, as the model's codec plays it"
        labels.append(Label(0.0, start, "selection", text, GREY))
    facts = [f"{path.name}, seed {seed}: {request.prompt}"]
    facts += [
        f"{name} {one.value if isinstance(one.value, str) else format(one.value, '.1f')} {one.unit}".strip()
        for name in DESCRIBED
        if (one := found[name]).value is not None
    ]
    labels.append(Label(start, new, f"new, seed {seed}", "; ".join(facts), BLUE))
    note = (
        "Change of the new music against the same take without knobs; a single take is not an average."
        if request.is_measured
        else "Set; the change was not measured."
    )
    labels += [Label(start, new, text, note, ORANGE) for text in changes]
    if found.faulty:
        labels.append(Label(start, new, "faulty", "; ".join(found.faults), RED))
    return labels
