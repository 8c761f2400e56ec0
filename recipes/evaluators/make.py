"""Both ears from nothing to finished weights, in one command:

    python -m recipes.evaluators.make --out build/ears

Each stage picks up where it stopped, and is skipped where its result is there. The last one puts the ears into the package.
"""

import argparse
import shutil
from pathlib import Path

from recipes.evaluators.beats import train_beats
from recipes.evaluators.clap import train_judge
from recipes.evaluators.corpus import make_corpus
from recipes.evaluators.settings import PRESETS
from recipes.stages import run_stages
from tonearm import assets

PACKAGE = assets.EVALUATORS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/ears"), help="where features, checkpoints and logs lie")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--processes", type=int, default=2, help="for the corpus; one a core")
    parser.add_argument("--threads", type=int, default=2, help="for training; 1 where the other core is busy")
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    run_stages(STAGES, parser.parse_args())


def corpus(arguments: argparse.Namespace) -> None:
    make_corpus(arguments.out / "corpus", PRESETS[arguments.preset], arguments.processes)


def judge(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "judge" / "model.safetensors").exists():
        train_judge(arguments.out / "corpus", arguments.out, PRESETS[arguments.preset])


def beats(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "beats.ckpt").exists():
        train_beats(arguments.out / "corpus", arguments.out, PRESETS[arguments.preset])


def install(arguments: argparse.Namespace) -> None:
    shutil.rmtree(PACKAGE / "clap", ignore_errors=True)
    shutil.copytree(arguments.out / "judge", PACKAGE / "clap", copy_function=shutil.copyfile)  # not its private mode
    shutil.copyfile(arguments.out / "beats.ckpt", PACKAGE / "beats.ckpt")
    print(f"installed into {PACKAGE}; next: python -m recipes.evaluators.model_card")


STAGES = {"corpus": corpus, "judge": judge, "beats": beats, "install": install}

if __name__ == "__main__":
    main()
