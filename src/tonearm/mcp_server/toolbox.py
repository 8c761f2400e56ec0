"""Toolbox: the tools, their schemas and their calls; it knows no protocol.

No tool takes a path: takes and comparisons get the next free name in one folder.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tonearm.comparison import compare
from tonearm.errors import TonearmError
from tonearm.files.free_name import free_name
from tonearm.generation.take import Take
from tonearm.knobs import reach
from tonearm.live import Manifest
from tonearm.live.commands import MAX_KNOBS, Prompt, Seed
from tonearm.live.desk import check_control, steering_of
from tonearm.live.manifest import Knob, Setting, SignView
from tonearm.measures.describe import Description, describe
from tonearm.model import Model
from tonearm.musicgen.sampling import Sampling
from tonearm.progress import Progress
from tonearm.schema import first_fault
from tonearm.steering import Steering, as_steering
from tonearm.steering.controls import GUIDANCE, TEMPERATURE, Control
from tonearm.steering.targets import with_amounts
from tonearm.text import quoted

MAX_SECONDS, MAX_TRIES = 60.0, 8
MAX_TARGET = 40  # characters
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]


@dataclass(frozen=True)
class Tool:
    """A tool: its name, a description for the language model, and the schema of its arguments."""

    name: str
    description: str
    arguments: type[BaseModel]
    call: Callable[[Any, Progress], dict[str, Any]]

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return self.arguments.model_json_schema()


class Toolbox:
    """Tools of one model; calls are carried out one after the other.

    Args:
        model: to generate with.
        manifest: of the model.
        folder: that receives takes and comparisons.
    """

    def __init__(self, model: Model, manifest: Manifest, folder: Path):
        self._model, self._manifest, self._folder = model, manifest, folder
        self._values: dict[str, float] = {}  # of knobs and settings that were set, by target
        self._lock = threading.Lock()
        self.tools = {tool.name: tool for tool in self._made_tools()}

    def call(self, name: str, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Call a tool.

        Args:
            name: of the tool.
            arguments: as its schema says.
            progress: called with frames done and frames in all.

        Returns:
            Plain data.

        Raises:
            TonearmError: an unknown tool, or the first fault of the arguments.
        """
        tool = self.tools.get(name)
        if tool is None:
            raise TonearmError(
                f"there is no tool {quoted(name)}; use one of {', '.join(self.tools)}"
            )
        try:
            checked = tool.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            place, reason = first_fault(error)
            raise TonearmError(f"{name}: {place or 'arguments'}: {reason}") from None
        with self._lock:
            return tool.call(checked, progress)

    def _made_tools(self) -> list[Tool]:
        knobs = tuple(knob.name for knob in self._manifest.knobs)
        settings = tuple(setting.target for setting in self._manifest.settings)
        music = {"prompt": (Prompt, ...), "seconds": (Seconds, 10.0), "seed": (Seed | None, None)}
        names: Any = Literal[knobs] if knobs else str  # without knobs, a call names the fault
        targets = dict[names, Annotated[str, Field(max_length=MAX_TARGET)]]
        return [
            Tool(
                "list_knobs",
                "List the knobs with anchor words, unit, range and quality tick of each side, and "
                "the settings, with the values that are set.",
                _arguments("ListKnobs"),
                lambda _, progress: self._list(),
            ),
            Tool(
                "set_knob",
                "Set a knob, in its unit (see list_knobs), or a setting; it acts on all music that "
                "is generated from then on. 0 is exactly no steering by the knob.",
                _arguments("SetKnob", knob=(Literal[(*knobs, *settings)], ...), value=(float, ...)),
                lambda given, progress: self._set(given.knob, given.value),
            ),
            Tool(
                "generate_take",
                "Generate music with the knobs that are set, and write it as WAV with a sidecar "
                "from which it can be replayed. `targets` are aimed at and measured, such as "
                '{"tempo": "128bpm", "brightness": "+3st"}, with the best of `tries` takes.',
                _arguments(
                    "GenerateTake",
                    **music,
                    targets=(targets, {}),
                    tries=(Annotated[int, Field(ge=1, le=MAX_TRIES)], 2),
                ),
                self._generate,
            ),
            Tool(
                "compare",
                "Generate the same prompt and seed without and with the knobs that are set, and "
                "write both as a page with measurements.",
                _arguments("Compare", **music),
                self._compare,
            ),
        ]

    # Calls --------------------------------------------------------------------------------------

    def _list(self) -> dict[str, Any]:
        return {
            "model": self._manifest.model.name,
            "knobs": [self._knob_view(knob) for knob in self._manifest.knobs],
            "settings": [
                {
                    "name": one.target,
                    "low": one.low,
                    "high": one.high,
                    "value": self._values.get(one.target, one.default),
                }
                for one in self._manifest.settings
            ],
            "quality_tick": self._manifest.tick_protocol,
        }

    def _knob_view(self, knob: Knob) -> dict[str, Any]:
        return {
            "name": knob.name,
            "unit": knob.unit or "amount",
            "measure": knob.measure,
            "value": self._values.get(knob.target, 0.0),
            "positive": _sign_view(knob.positive),
            "negative": _sign_view(knob.negative),
        }

    def _set(self, name: str, value: float) -> dict[str, Any]:
        settings = {setting.target: setting for setting in self._manifest.settings}
        if name in settings:
            _check_setting(settings[name], value)
            target = name
        else:
            knob = self._manifest.knob(name)
            check_control(Control(target=knob.target, value=value), (knob,), self._model.vectors)
            target = knob.target
        values = self._values | {target: value}
        if sum(bool(values.get(one.target)) for one in self._manifest.knobs) > MAX_KNOBS:
            raise TonearmError(f"{MAX_KNOBS} knobs are set already; set one to 0 first")
        self._values = values
        return {"knob": name, "value": value}

    def _steering(self) -> Steering:
        """Steering of the knobs that are not at zero."""
        knobs = [knob for knob in self._manifest.knobs if self._values.get(knob.target)]
        return steering_of(knobs, self._values)

    def _sampling(self) -> Sampling:
        return self._model.sampling(self._values.get(GUIDANCE), self._values.get(TEMPERATURE))

    def _generate(self, given: Any, progress: Progress) -> dict[str, Any]:
        knobs, sampling = self._steering(), self._sampling()
        if not given.targets:
            take = self._model.generate(
                given.prompt,
                steer=knobs if knobs.steers else None,
                seconds=given.seconds,
                seed=given.seed,
                guidance=sampling.guidance,
                temperature=sampling.temperature,
                progress=progress,
            )
            return self._saved(take, describe(take.clip))
        targets = as_steering(given.targets)[0].steers
        others = [steer for steer in knobs.steers if steer.vector not in given.targets]
        # as amounts, since steers with targets are those of the call
        kept = with_amounts(Steering(steers=others), self._model.vectors).steers
        reached = reach(
            self._model,
            given.prompt,
            Steering(steers=(*kept, *targets)),
            tries=given.tries,
            seconds=given.seconds,
            seed=given.seed,
            sampling=sampling,
            progress=progress,
        )
        found = describe(reached.take.clip, reached.tracker)
        return self._saved(reached.take, found) | {
            "targets": [outcome.to_dict() for outcome in reached.outcomes],
            "all_met": reached.is_met,
            "acted": list(reached.acted),
        }

    def _saved(self, take: Take, found: Description) -> dict[str, Any]:
        path = free_name(self._folder, "take", ".wav")
        sidecar = take.save(path, measured=found.to_dict())
        return {
            "audio": str(path),
            "sidecar": str(sidecar),
            "seed": take.provenance.seed,
            "steering": take.provenance.statement,
            "measured": _measured(found),
        }

    def _compare(self, given: Any, progress: Progress) -> dict[str, Any]:
        steering = self._steering()
        if not steering.steers:
            raise TonearmError("no knob is set; call set_knob first, such as tempo to 5")
        compared = compare(
            self._model,
            given.prompt,
            [steering],
            seconds=given.seconds,
            seed=given.seed,
            sampling=self._sampling(),
            progress=progress,
        )
        page = compared.save(free_name(self._folder, "comparison", ""))
        takes = {one.name: _measured(one.description) for one in compared.takes}
        return {"page": str(page), "details": dict(compared.details), "takes": takes}


def _arguments(name: str, **fields: Any) -> type[BaseModel]:
    made: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    return made


def _check_setting(setting: Setting, value: float) -> None:
    if not setting.low <= value <= setting.high:
        raise TonearmError(
            f"{setting.target} {value:g} is not possible; use {setting.low:g} to {setting.high:g}"
        )


def _sign_view(sign: SignView) -> dict[str, Any]:
    if not sign.passes:
        return {"word": sign.word, "passes": False, "reason": sign.reason}
    return {
        "word": sign.word,
        "passes": True,
        "limit": sign.limit,
        "quality_tick": sign.tick,
        "tick_is_uncertain": sign.hollow,
    }


def _measured(found: Description) -> dict[str, Any]:
    """Measurements that are defined, by name, with their units."""
    return {
        one.name: {"value": one.value, "unit": one.unit}
        for one in found.measurements
        if one.value is not None
    }
