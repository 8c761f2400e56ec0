"""Train pocket from nothing to installed weights, with one command:

    python -m recipes.pocket.make --out build/pocket

Each stage resumes where it stopped, and is skipped where its result exists. The last stage copies
the checkpoint into the package.
"""

import argparse
import shutil
from pathlib import Path

import torch
from transformers import EncodecModel

from recipes.pocket import data_parallel
from recipes.pocket.codec import train_codec
from recipes.pocket.codec_finetune import finetune_codec
from recipes.pocket.corpus import render_corpus
from recipes.pocket.decoder import train_decoder
from recipes.pocket.encode import encode_corpus
from recipes.pocket.robust import train_robust
from recipes.pocket.settings import PRESETS
from recipes.pocket.text import train_text_encoder
from recipes.stages import run_stages
from tonearm import assets

PACKAGE = assets.POCKET
CHECKPOINT_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/pocket"),
        help="folder of corpus, codes, checkpoints and logs",
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--processes",
        type=int,
        default=2,
        help="for rendering and, on CPU, for codes and decoder; one per core",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="for the codec on CPU; see LOG.md on why 1 can be faster than 2",
    )
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    run_stages(STAGES, parser.parse_args())


def corpus(arguments: argparse.Namespace) -> None:
    settings = PRESETS[arguments.preset]
    render_corpus(arguments.out / "corpus", "train", settings.train_shards, arguments.processes)
    render_corpus(
        arguments.out / "corpus", "held-out", settings.held_out_shards, arguments.processes
    )


def codec(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "codec" / "model.safetensors").exists():
        train_codec(
            arguments.out / "corpus", arguments.out, PRESETS[arguments.preset], arguments.device
        )


def codes(arguments: argparse.Namespace) -> None:
    EncodecModel.from_pretrained(arguments.out / "codec")  # fails early if the codec is missing
    for split in ("held-out", "train"):
        encode_corpus(
            arguments.out / "corpus", arguments.out, split, arguments.device, _processes(arguments)
        )


def codec_finetune(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "codec_finetuned" / "model.safetensors").exists():
        finetune_codec(
            arguments.out / "corpus", arguments.out, PRESETS[arguments.preset], arguments.device
        )


def text(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "text" / "model.safetensors").exists():
        train_text_encoder(arguments.out / "corpus", arguments.out, PRESETS[arguments.preset])


def decoder(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "pocket" / "model.safetensors").exists():
        settings, device = PRESETS[arguments.preset], arguments.device
        data_parallel.run(
            train_decoder,
            _processes(arguments),
            arguments.out / "corpus",
            arguments.out,
            settings,
            device,
        )


def robust(arguments: argparse.Namespace) -> None:
    if not (arguments.out / "pocket_robust" / "model.safetensors").exists():
        data_parallel.run(
            train_robust,
            _processes(arguments),
            arguments.out / "corpus",
            arguments.out,
            PRESETS[arguments.preset],
            arguments.device,
        )


def install(arguments: argparse.Namespace) -> None:
    for name in CHECKPOINT_FILES:
        shutil.copyfile(arguments.out / "pocket_robust" / name, PACKAGE / name)
    print(
        f"installed into {PACKAGE}; next: "
        "python -m recipes.pocket.vectors, then python -m recipes.pocket.model_card"
    )


def _processes(arguments: argparse.Namespace) -> int:
    return arguments.processes if arguments.device == "cpu" else 1


STAGES = {
    "corpus": corpus,
    "codec": codec,
    "codes": codes,
    "codec_finetune": codec_finetune,
    "text": text,
    "decoder": decoder,
    "robust": robust,
    "install": install,
}

if __name__ == "__main__":
    main()
