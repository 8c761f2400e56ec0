"""Valid inputs of every kind, tiny: what the campaign damages, and what stands beside the damage."""

import contextlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import soundfile

import tonearm
from tests import checkpoints
from tests.campaign.processes import ALLOWED
from tests.evaluators import tiny_clap
from tests.features.planted import autoencoder_of
from tests.listening.listeners import result_of, write
from tests.measures.sounds import clicks, noise, tone
from tonearm.audio import Clip
from tonearm.cli import main
from tonearm.features.trained import save_autoencoder
from tonearm.listening import Design, make_test, read_material
from tonearm.measures import Classifier, load_classifier
from tonearm.model import Model
from tonearm.sharing import export_gguf
from tonearm.steering import SteeringVector

PROMPT = "a fast folk tune"
SECONDS = 0.4
RATE = 8_000
TINY_TRAINING = {"rows": 64, "batch_rows": 4, "expansion": 1, "k": 2}  # of tonearm sae train
SCENES = ("folk", "jazz", "flute", "piano", "tune", "piece")
LOUD, SEGMENT = "corpus-loud", 0.4  # a corpus for activations, and seconds of its segments
# No network, and no browser for --open.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "COLUMNS": "80",
    "BROWSER": "true",
}


@dataclass(frozen=True)
class Materials:
    """Files in one folder, which no case changes, and the objects that they hold."""

    folder: Path
    model: Model
    vector: SteeringVector
    classifier: Classifier
    clip: Clip
    take: Any

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def clap(self) -> Path:
        return self.folder / "clap"

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    def file(self, name: str) -> Path:
        return self.folder / name


def make_materials(folder: Path) -> Materials:
    """Write all materials, and run every command once, so that forks find all libraries loaded."""
    os.environ.update(OFFLINE, TONEARM_CACHE=str(folder / "cache"))
    os.environ[ALLOWED] = str(folder.absolute())
    checkpoints.save(checkpoints.VARIANTS["melody"], folder / "checkpoint")
    tiny_clap.save_tiny(folder / "clap")
    model = tonearm.load(folder / "checkpoint", device="cpu")
    (folder / "prompts.txt").write_text("a folk tune\na jazz piece\na rock song\na latin groove\n")
    (folder / "positive.txt").write_text("a fast folk tune\na quick jazz piece\n")
    (folder / "negative.txt").write_text("a slow folk tune\na calm jazz piece\n")
    scenes = [f"{one} {two}" for one in ("fast", "slow", "loud", "soft", "calm") for two in SCENES]
    (folder / "many.txt").write_text("\n".join(scenes))
    save_autoencoder(autoencoder_of(model.shape, length=6.0), folder / "sae.safetensors")
    vector = tonearm.learn(model, ["a fast tune", "a quick piece"], ["a slow tune"], "energy")
    tonearm.save_vector(vector, folder / "energy.safetensors")
    _write_shared(folder, vector)
    _write_audio(folder)
    rows = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    np.save(folder / "rows.npy", rows)
    np.savez(folder / "rows.npz", rows)
    steers = [{"vector": str(folder / "energy.safetensors"), "strength": 0.5, "layers": [0, 1]}]
    (folder / "steering.json").write_text(json.dumps({"steers": steers}))
    _write_tables(folder)
    _write_listening_test(folder)
    take = model.generate(PROMPT, seconds=SECONDS, seed=1, steer={vector: "raw:0.5"})
    take.save(folder / "take.wav", measured=tonearm.describe(take.clip).to_dict())
    _run_every_command(folder)
    return Materials(
        folder,
        model,
        vector,
        load_classifier(folder / "kind.safetensors"),
        Clip.read(folder / "clicks.wav"),
        take,
    )


def _write_shared(folder: Path, vector: SteeringVector) -> None:
    """Write a bundle, and the vector in every form of another program."""
    tonearm.save_bundle([vector, vector.renamed("mood")], folder / "pack")
    export_gguf(vector, folder / "energy.gguf", without_layer_0=True)
    tensors = {str(layer): direction for layer, direction in vector.directions.items()}
    safetensors.torch.save_file(tensors, folder / "layers.safetensors")
    np.save(folder / "one.npy", vector[1].numpy())
    directions = {str(layer): [one.tolist()] for layer, one in vector.directions.items()}
    content = {
        "model_type": "musicgen",
        "directions": directions,
        "meta": {"location": "layer_output"},
    }
    (folder / "energy.svec").write_text(json.dumps(content))


def _write_audio(folder: Path) -> None:
    beats = clicks(120, seconds=2).resampled(RATE)
    for ending in ("wav", "flac", "ogg"):
        beats.write(folder / f"clicks.{ending}")
    soundfile.write(folder / "clicks.mp3", beats.samples.T, RATE)
    soundfile.write(folder / "clicks.aiff", beats.samples.T, RATE)
    # The random codec of a tiny checkpoint tells only loud sounds apart.
    for index in range(2):
        for label, sound in (("noise", noise(0.9, seed=index)), ("tone", tone(330 + index, 0.9))):
            loud = Clip(1e4 * sound.samples, sound.sample_rate).resampled(RATE)
            loud.write(folder / LOUD / label / f"{index}.wav")
    for index in range(6):
        noise(0.5, seed=index).resampled(RATE).write(folder / "corpus" / "noise" / f"{index}.wav")
        tone(330 + 9 * index, 0.5).resampled(RATE).write(
            folder / "corpus" / "tone" / f"{index}.wav"
        )


def _write_listening_test(folder: Path) -> None:
    """Takes of two conditions, a test of them, and a result."""
    for number, condition in enumerate(("plain", "fast")):
        for item in range(2):
            sound = noise(0.6, seed=2 * number + item).resampled(RATE)
            sound.write(folder / "takes" / condition / f"{item}.wav")
    made = make_test(read_material([folder / "takes"]), Design("abx", seed=1), folder / "listening")
    write(result_of(made.key, "L1", lambda conditions: 0), folder / "result.json")


def _write_tables(folder: Path) -> None:
    rows = [{"file_name": name, "text": "jazz"} for name in ("clicks.wav", "take.wav")]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [f"{row['file_name']},{row['text']}\n" for row in rows]
    (folder / "texts.csv").write_text("file_name,text\n" + "".join(lines))


def _run_every_command(folder: Path) -> None:
    model, clap = ["--model", folder / "checkpoint"], ["--clap", folder / "clap"]
    short = ["--seconds", SECONDS, "--force", *model]
    made = folder / "warm"
    steer = ["--steer", f"{folder / 'energy.safetensors'}=raw:0.5"]
    commands: list[list[Any]] = [
        ["classifier", folder / "kind", folder / "corpus", "--force", *clap],
        ["generate", PROMPT, "-o", made / "a.wav", *short],
        ["compare", PROMPT, "--out", made / "c", *steer, *short],
        [
            "learn",
            "e",
            "-o",
            made / "e",
            "--force",
            *model,
            "--positive",
            folder / "positive.txt",
            "--negative",
            folder / "negative.txt",
        ],
        [
            "probe",
            folder / LOUD,
            "--out",
            made / "p",
            "--segment",
            SEGMENT,
            "--method",
            "diffmean",
            "--force",
            *model,
        ],
        [
            "sae",
            "features",
            folder / "sae.safetensors",
            "-o",
            made / "names.json",
            "--prompts",
            folder / "many.txt",
            "--texts",
            "jazz,folk",
            *clap,
            *short,
        ],
        ["sae", "vector", folder / "sae.safetensors", 7, "-o", made / "f", "--force"],
        ["vectors", folder / "energy.safetensors"],
        ["vectors", "bundle", folder / "energy.safetensors", "-o", made / "pack", "--force"],
        ["vectors", "import", folder / "energy.gguf", "-o", made / "i", "--force", *model],
        ["measure", folder / "clicks.wav", "--text", "jazz", *clap],
        ["distance", folder / "corpus", "--reference", folder / "corpus", *clap],
        ["cluster", folder / "corpus", *clap],
        ["inspect", folder / "energy.safetensors"],
        ["listen", "make", "abx", folder / "takes", "--out", made / "listening", "--force"],
        ["listen", "analyse", folder / "listening", folder / "result.json"],
        ["models"],
        ["replay", folder / "take.json", *model],
    ]
    for command in commands:
        shown = io.TextIOWrapper(io.BytesIO())
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            code = main([str(argument) for argument in command])
        shown.seek(0)
        assert code == 0, (command, shown.read())
