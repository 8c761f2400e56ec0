"""Train both evaluators from nothing to installed weights, with one command:

    python -m recipes.evaluators.make --out build/evaluators

Each stage resumes where it stopped, and is skipped where its result exists. The last stage copies
the weights into the package.
"""

import argparse
import shutil
from pathlib import Path

from recipes.evaluators.beats import train_beat_tracker
from recipes.evaluators.clap import train_clap
from recipes.evaluators.corpus import make_corpus
from recipes.evaluators.settings import PRESETS
from recipes.stages import run_stages
from tonearm import assets

PACKAGE = assets.EVALUATORS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/evaluators"),
        help="folder of features, checkpoints and logs",
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--processes", type=int, default=2, help="for the corpus; one per core")
    parser.add_argument(
        "--threads", type=int, default=2, help="for training; 1 if the other core is busy"
    )
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    run_stages(STAGES, parser.parse_args())


def corpus(arguments: argparse.Namespace) -> None:
    make_corpus(arguments.out / "corpus", PRESETS[arguments.preset], arguments.processes)


def clap(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "clap" / "model.safetensors").exists():
        train_clap(arguments.out / "corpus", arguments.out, PRESETS[arguments.preset])


def beats(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "beats.ckpt").exists():
        train_beat_tracker(arguments.out / "corpus", arguments.out, PRESETS[arguments.preset])


def install(arguments: argparse.Namespace) -> None:
    shutil.rmtree(PACKAGE / "clap", ignore_errors=True)
    # copies content without the private file mode
    shutil.copytree(arguments.out / "clap", PACKAGE / "clap", copy_function=shutil.copyfile)
    shutil.copyfile(arguments.out / "beats.ckpt", PACKAGE / "beats.ckpt")
    print(f"installed into {PACKAGE}; next: python -m recipes.evaluators.model_card")


STAGES = {"corpus": corpus, "clap": clap, "beats": beats, "install": install}

if __name__ == "__main__":
    main()
