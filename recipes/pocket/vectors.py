"""Learn pocket's bundled vectors, calibrate their amounts, and save them into the package.

    python -m recipes.pocket.vectors --store build/vectors

The method is DiffMean at the text's EOS, from the prompt pairs in `tonearm.datasets.prompts`. The
directions are injected in the way that the frontier study found to have the most effect at the
least damage (`CONFIGURATIONS`; docs/studies/frontier.md). The first `CHOOSING` neutral prompts
choose the strength of each sign, and the others confirm it. Each attribute is measured by a signal
measure, or by musicnn, which shares no training data with pocket. A sign that no strength moves
with whole music is stored as failing, with the reason.
"""

import argparse
import logging
import time
from pathlib import Path

import torch

import tonearm
from tonearm import assets
from tonearm.datasets import prompts
from tonearm.steering import Configuration, save_vector
from tonearm.studies.calibration import calibrate

PACKAGE = assets.POCKET_VECTORS
CHOOSING = 20
CONFIGURATIONS = (Configuration(strategy="all-to-all"),)
MEASURES = {
    "tempo": "onset_rate",
    "brightness": "spectral_centroid",
    "loudness": "loudness",
    "energy": "tag:loud",
    "density": "onset_rate",
    "acoustic": "tag:techno",
    "jazz": "clap:jazz",
    "classical": "tag:classical",
    "electronic": "tag:techno",
    "flute": "tag:flute",
    "cello": "tag:cello",
    "mode": "clap:major",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=sorted(MEASURES), default=list(MEASURES))
    parser.add_argument("--store", type=Path, default=Path("build/vectors"), help="of the records")
    parser.add_argument("--threads", type=int, default=2, help="of generation")
    parser.add_argument("--workers", type=int, default=1, help="processes that measure, or 0")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = tonearm.load(device="cpu", dtype="float32")
    PACKAGE.mkdir(exist_ok=True)
    neutral = prompts.neutral()
    for name in arguments.only:
        pair = prompts.load_pair(name)
        began = time.perf_counter()
        vector = tonearm.learn(
            model,
            pair.positive,
            pair.negative,
            name,
            positive_label=pair.positive_label,
            negative_label=pair.negative_label,
        )
        print(f"{name}: learned in {time.perf_counter() - began:.1f} s", flush=True)
        calibrated = calibrate(
            model,
            vector,
            MEASURES[name],
            neutral[:CHOOSING],
            neutral[CHOOSING:],
            configurations=CONFIGURATIONS,
            store=arguments.store,
            workers=arguments.workers,
        )
        save_vector(calibrated, PACKAGE / name)
        print(f"{name}: {calibrated.info.calibration!r}", flush=True)


if __name__ == "__main__":
    main()
