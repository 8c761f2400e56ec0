"""Measure pocket and write the table of its model card.

    python -m recipes.pocket.model_card --out build/pocket

On held-out pieces, seeds and captions: fidelity of the codec, response of takes to tempo,
brightness, genre and lead, and beat regularity in comparison with the corpus. Tempo is estimated by
librosa and by the bundled beat tracker. Genre and lead are predicted by a small convolutional
network (instrument_classifier.py), trained on codec-decoded pieces of the corpus only.

The takes are kept in the store `card/`, so that a run resumes; the codec, the network and the speed
are measured each time.
"""

import argparse
import logging
import platform
from pathlib import Path

import torch

import tonearm
from recipes.card_takes import card_takes, of_part
from recipes.pocket import card_rows, evaluate
from recipes.pocket.card_codec import codec_rows
from recipes.pocket.card_rows import Rows
from recipes.pocket.card_study import card_trials
from recipes.pocket.corpus import load_labels
from recipes.pocket.encode import codes_path
from recipes.pocket.held_out import decoded_corpus, held_out_pairs, load_pieces, render_leads
from tonearm import assets
from tonearm.model import Model
from tonearm.report.marks import write_between_marks
from tonearm.studies.plan import Found
from tonearm.studies.run import Settings

CARD = assets.POCKET / "README.md"
CODEC_PIECES = 500  # all of the shard
CORPUS_PIECES = 80  # in comparison with takes
SHARDS = {"train": 8, "held-out": 1}  # of the network that predicts genre and lead


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/pocket"), help="of corpus, codes and the store"
    )
    parser.add_argument("--takes", type=int, default=60, help="takes per word")
    parser.add_argument("--limit", type=int, help="make at most this many takes in this run")
    parser.add_argument("--processes", type=int, default=2, help="processes, and threads")
    arguments = parser.parse_args()
    for split, shards in SHARDS.items():
        missing = [i for i in range(shards) if not codes_path(arguments.out, split, i).exists()]
        if missing:
            parser.error(
                f"{arguments.out} lacks the codes of {len(missing)} {split} shards; run "
                f"python -m recipes.pocket.make --out {arguments.out} --stages corpus codec codes"
            )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.processes)
    rows = measure(
        tonearm.load(device="cpu"),
        arguments.out,
        arguments.takes,
        arguments.processes,
        arguments.limit,
    )
    table = [
        "| measured | value | target |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    write_between_marks(CARD, {"measured": table})
    print("\n".join(table))


def measure(model: Model, out: Path, takes: int, processes: int, limit: int | None = None) -> Rows:
    """Make the takes that the store lacks, and measure all parts.

    Args:
        model: pocket.
        out: folder with `corpus/` and `codes/`; receives the store.
        takes: takes per word.
        processes: worker processes.
        limit: takes that are made at most; None for all.

    Returns:
        Rows of the table.

    Raises:
        SystemExit: the limit was reached before the last take.
    """
    pieces = load_pieces(model, out, max(takes, CORPUS_PIECES))
    continued = pieces[:takes]
    trials = card_trials(takes, continued, render_leads(continued))
    with card_takes(trials, model, out, Settings(workers=processes, limit=limit)) as found:
        return [
            *codec_rows(held_out_pairs(model, out, CODEC_PIECES)),
            *card_rows.take_rows(
                of_part(found, "words"),
                of_part(found, "numbers"),
                pieces[:CORPUS_PIECES],
                found.clip,
            ),
            *label_rows(found, out, processes),
            *card_rows.continuation_rows(of_part(found, "continuation"), continued, found.clip),
            *card_rows.melody_rows(of_part(found, "melody"), continued, found.clip),
            *card_rows.extension_rows(of_part(found, "extension"), found.clip),
            *speed_rows(model),
        ]


def label_rows(found: Found, out: Path, processes: int) -> Rows:
    """Train the network on decoded pieces, and measure genre and lead with it."""
    audio, labels = {}, {}
    for split, shards in SHARDS.items():
        audio[split] = decoded_corpus(out, split, range(shards), processes)
        labels[split] = [
            piece for i in range(shards) for piece in load_labels(out / "corpus", split, i)
        ]
    classifier = evaluate.train_instrument_classifier(audio["train"], labels["train"])
    return card_rows.label_rows(
        of_part(found, "labels"), found.clip, classifier, audio["held-out"], labels["held-out"]
    )


def speed_rows(model: Model) -> Rows:
    machine = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    title = f"seconds for one 10-s clip, guidance on, {machine}"
    return [(title, f"{evaluate.seconds_for_a_clip(model):.1f}", "< 3")]


if __name__ == "__main__":
    main()
