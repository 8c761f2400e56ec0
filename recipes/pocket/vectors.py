"""Learn pocket's bundled vectors, calibrate their amounts, measure the scales of their levels, and
save them into the package.

    python -m recipes.pocket.vectors --store build/vectors

The method is DiffMean at the text's EOS, from the prompt pairs in `tonearm.datasets.prompts`; pocket
has no words for drums, so that `drums` is learned from rendered pieces with and without them
(`tonearm.datasets.rendering.drum_pairs`), as means over their frames. Of
the ways of injection that the frontier study found to have the most effect at the least damage
(`CONFIGURATIONS`; docs/studies/frontier.md), each sign takes its best. The first `CHOOSING`
neutral prompts choose the strength of each sign, and the others confirm it. Each attribute is
measured by a signal measure, or by musicnn, which shares no training data with pocket; where
neither knows it, by the bundled CLAP. A sign that no strength moves with whole music is stored as
failing, with the reason. One that passes has the tables of its knob: response in physical units,
leakage to other measures, and drift over half a minute. The scales of levels are those of takes of
all neutral prompts.
"""

import argparse
import logging
import time
from pathlib import Path

import torch

import tonearm
from tonearm import assets
from tonearm.activations import measure_scales_of_several
from tonearm.datasets import prompts
from tonearm.datasets.recordings import Recording
from tonearm.datasets.rendering.drum_pairs import drum_pairs
from tonearm.methods.learn_from_audio import learn_from_audio
from tonearm.model import Model
from tonearm.report.marks import write_between_marks
from tonearm.steering import Configuration, SteeringVector, load_vector, save_vector
from tonearm.steering.library import bundled_vectors
from tonearm.steering.vector_file import SUFFIX
from tonearm.studies.calibration import calibrate, tabulate

PACKAGE = assets.POCKET_VECTORS
CHOOSING = 20
ALL_TO_ALL, *SUBSETS = (
    Configuration(strategy="all-to-all", layers=layers)
    for layers in (None, (2, 4, 6, 8), (4, 6, 8), (6, 7, 8))
)
LATE = SUBSETS[-1]
# for the others, all layers alone
CONFIGURATIONS = {
    "brightness": SUBSETS,
    "loudness": (ALL_TO_ALL, LATE),
    "energy": (ALL_TO_ALL, LATE),
}
PUSHES = (0.01, 0.02, 0.035, 0.06)
TAKES = 1  # of each prompt
MEASURES = {
    "tempo": "bundled_tempo",
    "brightness": "spectral_centroid",
    "loudness": "loudness",
    "energy": "tag:loud",
    "density": "onset_rate",
    "acoustic": "clap:acoustic",
    "jazz": "clap:jazz",
    "classical": "tag:classical",
    "electronic": "tag:techno",
    "flute": "tag:flute",
    "cello": "tag:cello",
    "mode": "clap:major",
    "drums": "high_onset_level",
    "rock": "tag:rock",
    "folk": "clap:folk",
    "hip-hop": "clap:hip hop",
    "latin": "clap:latin",
    "piano": "tag:piano",
    "guitar": "tag:guitar",
    "violin": "tag:violin",
    "trumpet": "clap:trumpet",
    "saxophone": "clap:saxophone",
    "organ": "clap:organ",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="*",
        choices=sorted(MEASURES),
        default=list(MEASURES),
        help="these; without a name, write the table of the model card alone",
    )
    parser.add_argument(
        "--tables",
        action="store_true",
        help="keep the calibrated strengths of the bundled vectors, and measure their tables alone",
    )
    parser.add_argument(
        "--scales", action="store_true", help="measure the scales of the vectors as they are, alone"
    )
    parser.add_argument("--out", type=Path, default=PACKAGE, help="folder of the vectors")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--store", type=Path, default=Path("build/vectors"), help="of the records")
    parser.add_argument("--threads", type=int, default=2, help="of generation")
    parser.add_argument("--workers", type=int, default=1, help="processes that measure, or 0")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = tonearm.load(device=arguments.device, dtype="float32")
    arguments.out.mkdir(parents=True, exist_ok=True)
    neutral = prompts.neutral()
    for name in [] if arguments.scales else arguments.only:
        began = time.perf_counter()
        if arguments.tables:
            tabulated = tabulate(
                model,
                load_vector(PACKAGE / f"{name}.safetensors"),
                neutral[CHOOSING:],
                measure=MEASURES[name],
                takes=TAKES,
                store=arguments.store,
                workers=arguments.workers,
            )
            save_vector(tabulated, arguments.out / name)
            print(f"{name}: tables in {time.perf_counter() - began:.0f} s", flush=True)
            continue
        vector = learned(model, name)
        print(f"{name}: learned in {time.perf_counter() - began:.1f} s", flush=True)
        calibrated = calibrate(
            model,
            vector,
            MEASURES[name],
            neutral[:CHOOSING],
            neutral[CHOOSING:],
            configurations=CONFIGURATIONS.get(name, (ALL_TO_ALL,)),
            pushes=PUSHES,
            takes=TAKES,
            store=arguments.store,
            workers=arguments.workers,
        )
        save_vector(calibrated, arguments.out / name)
        print(f"{name}: {calibrated.info.calibration!r}", flush=True)
    if arguments.only:
        vectors = [load_vector(arguments.out / f"{name}{SUFFIX}") for name in arguments.only]
        for vector in measure_scales_of_several(model.engine, vectors, neutral):
            save_vector(vector, arguments.out / vector.name)
    if arguments.out == PACKAGE:
        write_between_marks(assets.POCKET / "README.md", {"amounts": table()})


def learned(model: Model, name: str) -> SteeringVector:
    """Learn a vector of `MEASURES`, without its calibration."""
    if name == "drums":
        with_drums, without = (
            [
                Recording.of_clip(clip, "", f"{side} {index}", piece=f"piece {index}")
                for index, clip in enumerate(clips)
            ]
            for side, clips in zip(("with drums", "without drums"), drum_pairs(), strict=True)
        )
        return learn_from_audio(
            model,
            with_drums,
            without,
            name,
            pooling="mean",
            positive_label="drums",
            negative_label="no drums",
        )
    pair = prompts.load_pair(name)
    return tonearm.learn(
        model,
        pair.positive,
        pair.negative,
        name,
        positive_label=pair.positive_label,
        negative_label=pair.negative_label,
    )


def table() -> list[str]:
    """The amounts of the bundled vectors, as lines of Markdown: one row per vector and sign."""
    rows = [
        "| vector | amount 1 is | measured by | effect, 95 % interval | faulty (plain) | "
        "pulse clarity against plain | CLAP score |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, file in bundled_vectors().items():
        info = load_vector(file).info
        for sign, label in ((1, info.positive_label), (-1, info.negative_label)):
            start = f"| {name} {'+' if sign > 0 else '-'} ({label}) "
            if info.calibration is None:
                rows.append(f"{start}| not calibrated | | | | | |")
                continue
            found = info.calibration.of(sign)
            evidence = found.evidence
            if evidence is None:
                rows.append(f"{start}| **fails**: {found.failure} | | | | | |")
                continue
            rows.append(
                f"{start}| strength {sign * (found.strength or 0):+g} | {evidence.measure} "
                f"| {evidence.interval} | {evidence.faulty_steered:.0%} "
                f"({evidence.faulty_plain:.0%}) | {evidence.pulse_ratio:.2f} "
                f"| {-evidence.text_loss:+.3f} |"
            )
    return rows


if __name__ == "__main__":
    main()
