"""Model card of the bundled evaluators: README.md, card.json and confusion.png.

    python -m recipes.evaluators.model_card --recordings FOLDER

All music is unseen by the evaluators. Without `--recordings` (a folder of free recordings, see
evaluate.KNOWN_BPM) that table is omitted.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from transformers import ClapModel

import tonearm
from recipes.evaluators import evaluate
from recipes.evaluators.captions import ATTRIBUTES
from recipes.evaluators.corpus import KINDS
from recipes.evaluators.figures import draw_confusions
from recipes.evaluators.make import PACKAGE
from recipes.evaluators.settings import CPU
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.evaluators.load import load_clap, load_tracker
from tonearm.files.atomic import atomic_write

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
# Training clips of two runs (LOG.md).
BUNDLED_TRACKER_CLIPS = {"performances": 5_500, "pieces": 1_500, "grooves": 3_750}
COPIES = {
    "rendered": "rendered",
    "decoded": "decoded by pocket's codec",
    "quieter": "20 dB quieter",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--tables-only",
        action="store_true",
        help="write tables and figure from card.json, without measuring",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    if arguments.tables_only:
        numbers = json.loads((PACKAGE / "card.json").read_text(encoding="utf-8"))
    else:
        numbers = measure(
            arguments.pieces, arguments.beat_pieces, arguments.takes, arguments.recordings
        )
        with atomic_write(PACKAGE / "card.json") as temporary:
            temporary.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    draw_confusions(numbers["confusions"], PACKAGE / "confusion.png")
    card = PACKAGE / "README.md"
    text = card.read_text(encoding="utf-8")
    tables = render_tables(numbers)
    with atomic_write(card) as temporary:
        temporary.write_text(
            f"{text.split(BEGIN)[0]}{BEGIN}\n{tables}\n{END}{text.split(END)[1]}", encoding="utf-8"
        )
    print(tables)


def measure(pieces: int, beat_pieces: int, takes: int, recordings: Path | None) -> dict:
    clap, trackers = load_clap("bundled"), [load_tracker("bundled"), load_tracker("librosa")]
    model = tonearm.load(device="cpu")
    with timed("unseen pieces"):
        counts = dict.fromkeys(KINDS, beat_pieces) | {"performances": max(pieces, beat_pieces)}
        unseen = {kind: evaluate.render_unseen(kind, clips) for kind, clips in counts.items()}
    with timed("CLAP"):
        shares, confusions = evaluate.evaluate_clap(clap, unseen["performances"][:pieces])
    with timed("CLAP on takes"):
        shares["takes"], confusions["takes"] = evaluate.evaluate_clap_on_takes(clap, model, takes)
    with timed("beats"):
        beats = {
            kind: evaluate.evaluate_beat_trackers(trackers, clips[:beat_pieces])
            for kind, clips in unseen.items()
        }
    with timed("beats on takes"):
        beats_on_takes = evaluate.evaluate_beat_trackers_on_takes(trackers, model, takes)
    return {
        "models": model_sizes(),
        "trackers": [tracker.name for tracker in trackers],
        "clap": shares,
        "confusions": confusions,
        "beats": beats,
        "beats_on_takes": beats_on_takes,
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


def render_tables(numbers: dict) -> str:
    """Return the tables of the model card as Markdown."""
    parts = [
        _models(numbers["models"]),
        _clap(numbers),
        _confusions(numbers),
        _beats(numbers),
        _takes(numbers),
    ]
    return "\n\n".join([*parts, *([_recordings(numbers)] if numbers["recordings"] else [])])


def _models(models: dict) -> str:
    names = ("clap", "beats")
    rows = [
        ["parameters", *(f"{models['parameters'][name] / 1e6:.2f} M" for name in names)],
        ["files", *(f"{models['bytes'][name] / 2**20:.1f} MB" for name in names)],
        [
            f"clips of {models['seconds']:.0f} s, each rendered and decoded",
            *(f"{models['clips'][name]:,}" for name in names),
        ],
        [
            "training",
            *(
                f"{models['steps'][name]:,} steps of {models['batch'][name]} windows of 10 s"
                for name in names
            ),
        ],
    ]
    return "### Size\n\n" + _table(["", "CLAP", "beat tracker"], rows)


def _clap(numbers: dict) -> str:
    columns = [*COPIES, "takes"]
    rows = [
        [
            f"{attribute} ({', '.join(values)})",
            f"{1 / len(values):.0%}",
            *(_share(numbers["clap"][c].get(attribute)) for c in columns),
        ]
        for attribute, values in ATTRIBUTES.items()
    ]
    return "### CLAP: accuracy of zero-shot questions\n\n" + _table(
        ["question", "chance", *COPIES.values(), "pocket's takes"], rows
    )


def _confusions(numbers: dict) -> str:
    """Return confusion counts; rows are the truth, columns the predictions."""
    tables = []
    for attribute in ("genre", "lead"):
        values = list(ATTRIBUTES[attribute])
        for copy, title in (
            ("rendered", COPIES["rendered"]),
            ("decoded", COPIES["decoded"]),
            ("takes", "pocket's takes, by the word in the prompt"),
        ):
            counts = numbers["confusions"][copy][attribute]
            rows = [[value, *map(str, row)] for value, row in zip(values, counts, strict=True)]
            tables.append(
                f"Confusions, {attribute}, {title}; "
                "rows are the truth, columns the predictions:\n\n" + _table(["", *values], rows)
            )
    return "\n\n".join(tables)


def _beats(numbers: dict) -> str:
    rows = [
        [
            f"{kind}, {COPIES[copy]}",
            tracker,
            _share(of["accuracy_1"]),
            _share(of["accuracy_2"]),
            _mean(of["f_measure"]),
        ]
        for kind, trackers in numbers["beats"].items()
        for copy in ("rendered", "decoded")
        for tracker, copies in trackers.items()
        for of in [copies[copy]]
    ]
    return "### Beats on unseen pieces\n\n" + _table(
        ["music", "tracker", "tempo accuracy 1", "accuracy 2", "beat F-measure"], rows
    )


def _takes(numbers: dict) -> str:
    rows = [
        [
            tracker,
            _share(of["accuracy_1"]),
            _share(of["accuracy_2"]),
            _share(of["with_beats"]),
            _mean(of["beat_regularity"]),
        ]
        for tracker, of in numbers["beats_on_takes"].items()
    ]
    head = ["tracker", "tempo accuracy 1", "accuracy 2", "with 4 beats or more", "beat regularity"]
    return '### pocket\'s takes of prompts with "at N bpm"\n\n' + _table(head, rows)


def _recordings(numbers: dict) -> str:
    rows = []
    for name, of in numbers["recordings"].items():
        known = f"{of['known_bpm']:.0f}" if of["known_bpm"] else "not fixed"
        rows.append(
            [
                name,
                f"{of['seconds']:.0f} s",
                known,
                *(_bpm(of[tracker]["bpm"]) for tracker in numbers["trackers"]),
            ]
        )
    head = ["recording", "length", "known BPM", *numbers["trackers"]]
    return "### Free recordings: estimated BPM\n\n" + _table(head, rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _share(share: dict | None) -> str:
    if share is None:
        return "-"
    interval = f"[{100 * share['low']:.0f}, {100 * share['high']:.0f}]"
    return f"{share['value']:.0%} {interval}, n = {share['n']}"


def _mean(mean: dict) -> str:
    return f"{mean['value']:.2f} [{mean['low']:.2f}, {mean['high']:.2f}], n = {mean['n']}"


def _bpm(bpm: float | None) -> str:
    return "none" if bpm is None else f"{bpm:.1f}"


if __name__ == "__main__":
    main()
