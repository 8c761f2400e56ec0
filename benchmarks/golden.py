"""Golden record: codes of about 50 takes over all options, and all measures of 10 clips.

    python -m benchmarks.golden --write     # record into golden.json
    python -m benchmarks.golden             # generate and measure again; exit code 1 where anything differs

A refactoring must not change any of it. Hashes hold on one processor type and one set of package versions, both of which are
recorded; on another stack, record the commit before the change first.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests import checkpoints

import tonearm
from benchmarks.golden_api import (
    AUDIO_POSITIONS,
    generate_completed,
    generate_mixed,
    measure_everything,
    measure_sets,
    play,
    steer_vector,
)
from tonearm.audio import Clip
from tonearm.generation.provenance import StackRecord
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Schedule, Steer, Steering

FILE = Path(__file__).with_name("golden.json")
PROMPTS = (
    "a folk tune with flute",
    "a fast jazz piece with piano",
    "slow dark ambient with strings",
    "a bright latin song",
)
THREADS = 2


def tone(seconds: float, hertz: float = 440.0, sample_rate: int = 32_000) -> Clip:
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return Clip((0.4 * np.sin(2 * np.pi * hertz * times)).astype(np.float32), sample_rate)


def scale(seconds: float = 4.0) -> Clip:
    """A melody: eight tones, one after the other."""
    steps = (0, 2, 4, 5, 7, 9, 11, 12)
    samples = np.concatenate(
        [tone(seconds / 8, 262 * 2 ** (step / 12)).samples for step in steps], axis=1
    )
    return Clip(samples, 32_000)


def clicks(seconds: float = 8.0, bpm: float = 120.0, sample_rate: int = 22_050) -> Clip:
    samples = np.zeros(round(seconds * sample_rate), np.float32)
    click = np.exp(-np.arange(800) / 80) * np.sin(np.arange(800) * 0.6)
    for beat in np.arange(0.25, seconds - 0.1, 60 / bpm):
        start = round(beat * sample_rate)
        samples[start : start + 800] += click[: len(samples) - start]
    return Clip(samples, sample_rate)


def noise(seconds: float = 5.0) -> Clip:
    samples = np.random.default_rng(0).normal(scale=0.1, size=(2, round(44_100 * seconds)))
    return Clip(samples.astype(np.float32), 44_100)


def one(steer: Steer | None = None, **fields: Any) -> Steering:
    return Steering(steers=(steer or Steer(**fields),))


STEERINGS = {
    "add up": one(vector="tempo", strength=0.1),
    "add down": one(vector="tempo", strength=-0.1),
    "blend": one(vector="brightness", strength=0.3, operator="blend"),
    "blend, activation": one(
        vector="brightness", strength=0.2, operator="blend", scale="activation"
    ),
    "rotate": one(vector="brightness", strength=0.2, operator="rotate"),
    "remove": one(vector="energy", operator="remove"),
    "clamp": one(vector="energy", operator="clamp", low=-0.5, high=0.5),
    "all-to-all": one(vector="brightness", strength=0.1, strategy="all-to-all"),
    "one-to-one": one(vector="brightness", strength=0.5, strategy="one-to-one", source_layer=3),
    "some layers": one(vector="tempo", strength=0.2, layers=(1, 4, 6)),
    "conditional": one(vector="tempo", strength=0.1, branch="conditional"),
    "unconditional": one(vector="tempo", strength=0.1, branch="unconditional"),
    "window": one(vector="tempo", strength=0.2, schedule=Schedule.window(0.5, 1.5, 0.2)),
    "ramp": one(vector="brightness", strength=-0.1, schedule=Schedule.ramp(0, 2)),
    "two vectors": Steering(
        steers=(Steer(vector="tempo", strength=0.1), Steer(vector="brightness", strength=-0.05))
    ),
    "three vectors, three operators": Steering(
        steers=(
            Steer(vector="tempo", strength=0.1),
            Steer(vector="jazz", strength=0.2, operator="rotate", layers=(2, 5)),
            Steer(vector="brightness", strength=-0.05, branch="conditional"),
        )
    ),
}
SAMPLINGS = {
    "unguided": Sampling(guidance=1.0, temperature=0.9),
    "guidance 5": Sampling(guidance=5.0),
    "greedy": Sampling(guidance=2.0, temperature=0.0),
    "cool": Sampling(guidance=2.0, temperature=0.5),
    "top-k 50": Sampling(guidance=2.0, temperature=0.9, top_k=50),
    "top-p 0.9": Sampling(guidance=2.0, temperature=0.9, top_k=0, top_p=0.9),
    "guidance ramp": Sampling(guidance=4.0, temperature=0.9, guidance_schedule=Schedule.ramp(0, 2)),
}


def takes(folder: Path) -> Iterator[tuple[str, Any]]:
    """Name and take of every case."""
    model = tonearm.load(device="cpu")
    yield "plain", model.generate(PROMPTS[0], seconds=10, seed=7)
    for name, steering in STEERINGS.items():
        yield name, model.generate(PROMPTS[0], steer=steering, seconds=2, seed=11)
    for site in ("attention", "heads"):
        vector = steer_vector(model, "tempo", site)
        yield (
            f"site {site}",
            model.generate(PROMPTS[1], steer={vector: "raw:0.3"}, seconds=2, seed=3),
        )
    prompt = model.generate(PROMPTS[2], seconds=3, seed=5)
    yield "to be continued", prompt
    for name, positions in (("audio", AUDIO_POSITIONS), ("all", "all")):
        steering = one(vector="tempo", strength=0.1, positions=positions)
        yield (
            f"audio prompt, positions {name}",
            model.generate(
                PROMPTS[1], steer=steering, seconds=2, seed=9, continue_from=prompt.clip
            ),
        )
    yield "audio prompt", model.generate(PROMPTS[0], seconds=2, seed=9, continue_from=prompt.clip)
    yield "melody", model.generate(PROMPTS[0], seconds=3, seed=9, melody=scale())
    yield (
        "melody, steered",
        model.generate(PROMPTS[0], steer=STEERINGS["add up"], seconds=3, seed=9, melody=scale()),
    )
    yield (
        "negative prompt",
        model.generate(PROMPTS[0], seconds=2, seed=2, negative="slow dark jazz"),
    )
    for (name, mixed), prompt_text in zip(SAMPLINGS.items(), PROMPTS * 2, strict=False):
        (take,) = generate_mixed(model, [(prompt_text, 4, Steering(), mixed, 2.0)])
        yield name, take
    yield "longer than the window", model.generate(PROMPTS[3], seconds=13, seed=1)
    yield (
        "longer than the window, melody, steered",
        model.generate(PROMPTS[3], seconds=12, seed=1, melody=scale(6), steer=STEERINGS["ramp"]),
    )
    cases = [
        (text, seed, steering, None, 2.0)
        for seed, (text, steering) in enumerate(
            zip(
                PROMPTS,
                (STEERINGS[name] for name in ("add up", "conditional", "some layers", "blend")),
                strict=True,
            )
        )
    ]
    for index, take in enumerate(generate_mixed(model, cases)):
        yield f"mixed batch, row {index}", take
    lengths = [
        (PROMPTS[0], 1, Steering(), None, 1.0),
        (PROMPTS[1], 2, STEERINGS["add up"], None, 3.0),
        (PROMPTS[2], 3, Steering(), None, 2.0),
    ]
    for index, take in sorted(generate_completed(model, lengths), key=lambda pair: pair[0]):
        yield f"unequal lengths, row {index}", take
    yield "streamed", play(model.stream(PROMPTS[0], seconds=2, seed=6))
    yield (
        "streamed, strength set twice",
        play(
            model.stream(
                PROMPTS[0], seconds=3, seed=6, steer={"brightness": "raw:0", "tempo": "raw:0.1"}
            ),
            {20: ("brightness", 0.1), 60: ("brightness", -0.1)},
        ),
    )
    yield (
        "streamed, guidance set",
        play(model.stream(PROMPTS[1], seconds=2, seed=6), {30: ("guidance", 4.0)}),
    )
    reference = model.with_engine("reference")
    yield "reference", reference.generate(PROMPTS[0], seconds=1, seed=7)
    yield (
        "reference, steered",
        reference.generate(PROMPTS[0], steer=STEERINGS["rotate"], seconds=1, seed=7),
    )
    for dtype in ("int8", "bfloat16"):
        other = tonearm.load(device="cpu", dtype=dtype)
        yield dtype, other.generate(PROMPTS[0], seconds=2, seed=7)
        yield (
            f"{dtype}, steered",
            other.generate(PROMPTS[0], steer=STEERINGS["two vectors"], seconds=2, seed=7),
        )
    for variant in ("small", "stereo-melody"):
        tiny = tonearm.load(
            str(checkpoints.save(checkpoints.VARIANTS[variant], folder / variant)), device="cpu"
        )
        tiny_vector = tonearm.learn(
            tiny, ["a fast tune", "quick jazz"], ["a slow tune", "calm jazz"], "speed", seconds=0.4
        )
        yield (
            f"{variant}, learned vector",
            tiny.generate("a folk piece", steer={tiny_vector: "raw:1.0"}, seconds=2, seed=1),
        )
        site = tiny.checkpoint.shape.sites[-2]
        other_site = tonearm.learn(
            tiny, ["a fast tune"], ["a slow tune"], "site", site=site, pooling="last", seconds=0.4
        )
        yield (
            f"{variant}, site {site}",
            tiny.generate("a folk piece", steer={other_site: "raw:2.0"}, seconds=2, seed=1),
        )


def clips_of(made: dict[str, Any]) -> dict[str, Clip]:
    """The ten clips to measure."""
    chosen = ("plain", "add up", "melody", "longer than the window", "streamed", "to be continued")
    silence = Clip(np.zeros(32_000 * 3, np.float32), 32_000)
    others = {
        "silence": silence,
        "tone": tone(3, sample_rate=44_100),
        "clicks": clicks(),
        "noise": noise(),
    }
    return {name: made[name].clip for name in chosen} | others


def record(folder: Path, report: Callable[[str], None]) -> dict[str, Any]:
    made, hashes = {}, {}
    for name, take in takes(folder):
        made[name] = take
        provenance = take.provenance
        hashes[name] = {
            "codes": provenance.codes_sha256[:16],
            "audio": provenance.audio_sha256[:16],
        }
        report(name)
    clips = clips_of(made)
    values = {name: measure_everything(clip) for name, clip in clips.items()}
    report("measures")
    sounding = [clip for name, clip in clips.items() if name != "silence"]
    return {"takes": hashes, "clips": values, "sets": measure_sets(sounding[:4], sounding[4:8])}


def differences(expected: Any, found: Any, place: str = "") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            yield from differences(
                expected.get(key, "absent"), found.get(key, "absent"), f"{place}/{key}"
            )
    elif expected != found:
        yield f"{place}: {expected} recorded, {found} now"


def stack() -> dict[str, str]:
    here = StackRecord.here(torch.device("cpu"), "float32")
    packages = {name: version for name, version in here.packages.items() if name != "tonearm"}
    return {"cpu": here.cpu, "threads": str(here.threads), **packages}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--write", action="store_true", help="record what is generated and measured now"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        found = record(Path(folder), lambda name: print(name, file=sys.stderr))
    found = json.loads(json.dumps(found))
    if arguments.write:
        FILE.write_text(
            json.dumps({"stack": stack(), **found}, indent=1, sort_keys=True) + "\n",
            encoding="utf-8",
        )
        print(f"recorded {len(found['takes'])} takes and {len(found['clips'])} clips")
        return 0
    expected = json.loads(FILE.read_text(encoding="utf-8"))
    for line in differences(expected.pop("stack"), stack(), "stack"):
        print(line)
    changed = list(differences(expected, found))
    print(
        "\n".join(changed)
        or f"{len(found['takes'])} takes and {len(found['clips'])} clips as recorded"
    )
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
