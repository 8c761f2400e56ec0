"""Model card of the bundled evaluators: README.md, card.json and confusion.png.

    python -m recipes.evaluators.model_card --recordings FOLDER

All music is unseen by the evaluators. Without `--recordings` (a folder of free recordings, see
evaluate.KNOWN_BPM) that table is omitted. Pocket's takes are kept in the store `card/` of the folder
--out, so that a run resumes; all else is measured each time.
"""

import argparse
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from transformers import ClapModel

import tonearm
from recipes.card_takes import card_takes, of_part
from recipes.evaluators import evaluate
from recipes.evaluators.card_study import card_trials
from recipes.evaluators.card_tables import render_tables
from recipes.evaluators.corpus import KINDS
from recipes.evaluators.figures import draw_confusions
from recipes.evaluators.make import PACKAGE
from recipes.evaluators.settings import CPU
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.evaluators.load import load_clap, load_tracker
from tonearm.files.atomic import atomic_write
from tonearm.report.marks import write_between_marks
from tonearm.studies.run import Settings

# Training clips of two runs (LOG.md).
BUNDLED_TRACKER_CLIPS = {"performances": 5_500, "pieces": 1_500, "grooves": 3_750}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/evaluators"), help="of the store of takes"
    )
    parser.add_argument("--recordings", type=Path, help="folder of the free recordings")
    parser.add_argument(
        "--pieces", type=int, default=250, help="unseen performances, for the CLAP model"
    )
    parser.add_argument(
        "--beat-pieces", type=int, default=70, help="unseen clips of each kind, for the trackers"
    )
    parser.add_argument(
        "--takes",
        type=int,
        default=18,
        help="takes of pocket per question; twice as many for genre and lead",
    )
    parser.add_argument("--limit", type=int, help="make at most this many takes in this run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--tables-only",
        action="store_true",
        help="write tables and figure from card.json, without measuring",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    transformers.logging.set_verbosity_error()
    if arguments.tables_only:
        numbers = json.loads((PACKAGE / "card.json").read_text(encoding="utf-8"))
    else:
        on_takes = measure_takes(arguments.takes, arguments.out, arguments.limit)
        numbers = measure(arguments.pieces, arguments.beat_pieces, on_takes, arguments.recordings)
        with atomic_write(PACKAGE / "card.json") as temporary:
            temporary.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    draw_confusions(numbers["confusions"], PACKAGE / "confusion.png")
    tables = render_tables(numbers)
    write_between_marks(PACKAGE / "README.md", {"measured": [tables]})
    print(tables)


@dataclass(frozen=True)
class OnTakes:
    """Numbers of the evaluators on pocket's takes; see `recipes.evaluators.evaluate`."""

    clap: dict
    confusions: dict
    beats: dict


def measure_takes(takes: int, out: Path, limit: int | None = None) -> OnTakes:
    """Make the takes that the store lacks, and evaluate both evaluators on all of them.

    Args:
        takes: per question.
        out: folder of the store.
        limit: takes that are made at most; None for all.

    Raises:
        SystemExit: the limit was reached before the last take.
    """
    settings = Settings(limit=limit)
    with (
        timed("takes"),
        card_takes(card_trials(takes), tonearm.load(device="cpu"), out, settings) as found,
    ):
        shares, confusions = evaluate.evaluate_clap_on_takes(
            load_clap("bundled"), of_part(found, "words")
        )
        beats = evaluate.evaluate_beat_trackers_on_takes(of_part(found, "numbers"), found.clip)
        return OnTakes(shares, confusions, beats)


def measure(pieces: int, beat_pieces: int, on_takes: OnTakes, recordings: Path | None) -> dict:
    """Evaluate both evaluators on unseen pieces and recordings.

    Args:
        pieces: unseen performances, for the CLAP model.
        beat_pieces: unseen clips of each kind, for the trackers.
        on_takes: numbers on pocket's takes, which are added.
        recordings: folder of the free recordings; None without.

    Returns:
        All numbers of the card, as JSON.
    """
    clap, trackers = load_clap("bundled"), [load_tracker("bundled"), load_tracker("librosa")]
    with timed("unseen pieces"):
        counts = dict.fromkeys(KINDS, beat_pieces) | {"performances": max(pieces, beat_pieces)}
        unseen = {kind: evaluate.render_unseen(kind, clips) for kind, clips in counts.items()}
    with timed("CLAP"):
        shares, confusions = evaluate.evaluate_clap(clap, unseen["performances"][:pieces])
    with timed("beats"):
        beats = {
            kind: evaluate.evaluate_beat_trackers(trackers, clips[:beat_pieces])
            for kind, clips in unseen.items()
        }
    return {
        "models": model_sizes(),
        "trackers": [tracker.name for tracker in trackers],
        "clap": shares | {"takes": on_takes.clap},
        "confusions": confusions | {"takes": on_takes.confusions},
        "beats": beats,
        "beats_on_takes": on_takes.beats,
        "recordings": evaluate.evaluate_recordings(trackers, recordings) if recordings else {},
    }


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Print the duration of a part."""
    began = time.perf_counter()
    yield
    print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)


def model_sizes() -> dict:
    """Return sizes and training settings of the bundled evaluators."""
    clap = ClapModel.from_pretrained(PACKAGE / "clap")
    tracker = torch.load(PACKAGE / "beats.ckpt", weights_only=True)["state_dict"]
    parameters = {"clap": clap.num_parameters(), "beats": sum(w.numel() for w in tracker.values())}
    files = {"clap": [*(PACKAGE / "clap").iterdir()], "beats": [PACKAGE / "beats.ckpt"]}
    return {
        "parameters": parameters,
        "bytes": {
            name: sum(path.stat().st_size for path in paths) for name, paths in files.items()
        },
        "clips": {
            "clap": CPU.performances * CPU.clips_per_shard,
            "beats": sum(BUNDLED_TRACKER_CLIPS.values()),
        },
        "seconds": CPU.frames / FRAME_RATE,
        "steps": {"clap": CPU.clap_steps, "beats": CPU.beat_steps},
        "batch": {"clap": CPU.clap_batch, "beats": CPU.beat_batch},
    }


if __name__ == "__main__":
    main()
