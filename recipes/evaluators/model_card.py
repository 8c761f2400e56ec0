"""Examine the shipped ears and write the numbers into their card: README.md, card.json and confusion.png in the package.

    python -m recipes.evaluators.model_card --recordings FOLDER

Everything is music that the ears have never heard. Says how long each part took; pocket's takes and the beats take most of it. Without `--recordings` (a folder of free recordings, see exam.KNOWN_BPM) that table is left out.
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
from recipes.pocket.compose import FRAME_RATE
from tonearm.atomic import atomic_write
from tonearm.evaluators.load import load_clap, load_tracker

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
SHIPPED_TRACKER = {"performances": 5_500, "pieces": 1_500, "grooves": 3_750}  # of two runs: see LOG.md
COPIES = {"rendered": "as rendered", "decoded": "decoded by pocket's codec", "quieter": "20 dB quieter"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, help="folder of the free recordings")
    parser.add_argument("--pieces", type=int, default=250, help="unseen performances, for the judge")
    parser.add_argument("--beat-pieces", type=int, default=70, help="unseen clips of each kind, for the trackers")
    parser.add_argument(
        "--takes", type=int, default=18, help="of pocket, for each question; twice as many for genre and lead"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--retell", action="store_true", help="write tables and picture again from card.json, asking nothing anew"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    if arguments.retell:
        numbers = json.loads((PACKAGE / "card.json").read_text(encoding="utf-8"))
    else:
        numbers = examine(arguments.pieces, arguments.beat_pieces, arguments.takes, arguments.recordings)
        with atomic_write(PACKAGE / "card.json") as aside:
            aside.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    draw_confusions(numbers["confusions"], PACKAGE / "confusion.png")
    card = PACKAGE / "README.md"
    text = card.read_text(encoding="utf-8")
    tables = tell(numbers)
    with atomic_write(card) as aside:
        aside.write_text(f"{text.split(BEGIN)[0]}{BEGIN}\n{tables}\n{END}{text.split(END)[1]}", encoding="utf-8")
    print(tables)


def examine(pieces: int, beat_pieces: int, takes: int, recordings: Path | None) -> dict:
    judge, trackers = load_clap("embedded"), [load_tracker("embedded"), load_tracker("librosa")]
    model = tonearm.load(device="cpu")
    with timed("unseen pieces"):
        asked = dict.fromkeys(KINDS, beat_pieces) | {"performances": max(pieces, beat_pieces)}
        heard = {kind: evaluate.unseen(kind, clips) for kind, clips in asked.items()}
    with timed("judge"):
        shares, confusions = evaluate.examine_judge(judge, heard["performances"][:pieces])
    with timed("judge on takes"):
        shares["takes"], confusions["takes"] = evaluate.examine_judge_on_takes(judge, model, takes)
    with timed("beats"):
        beats = {kind: evaluate.examine_beats(trackers, clips[:beat_pieces]) for kind, clips in heard.items()}
    with timed("beats on takes"):
        beats_on_takes = evaluate.examine_beats_on_takes(trackers, model, takes)
    return {
        "made_of": made_of(),
        "trackers": [tracker.name for tracker in trackers],
        "judge": shares,
        "confusions": confusions,
        "beats": beats,
        "beats_on_takes": beats_on_takes,
        "recordings": evaluate.examine_recordings(trackers, recordings) if recordings else {},
    }


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Says how long a part took."""
    began = time.perf_counter()
    yield
    print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)


def made_of() -> dict:
    """Sizes, and what the shipped ears were trained with."""
    judge = ClapModel.from_pretrained(PACKAGE / "clap")
    tracker = torch.load(PACKAGE / "beats.ckpt", weights_only=True)["state_dict"]
    parameters = {"judge": judge.num_parameters(), "beats": sum(w.numel() for w in tracker.values())}
    files = {"judge": [*(PACKAGE / "clap").iterdir()], "beats": [PACKAGE / "beats.ckpt"]}
    return {
        "parameters": parameters,
        "bytes": {ear: sum(path.stat().st_size for path in paths) for ear, paths in files.items()},
        "clips": {"judge": CPU.performances * CPU.clips_per_shard, "beats": sum(SHIPPED_TRACKER.values())},
        "seconds": CPU.frames / FRAME_RATE,
        "steps": {"judge": CPU.judge_steps, "beats": CPU.beat_steps},
        "batch": {"judge": CPU.judge_batch, "beats": CPU.beat_batch},
    }


def tell(numbers: dict) -> str:
    """The card's tables."""
    parts = [_made_of(numbers["made_of"]), _judge(numbers), _confusions(numbers), _beats(numbers), _takes(numbers)]
    return "\n\n".join([*parts, *([_recordings(numbers)] if numbers["recordings"] else [])])


def _made_of(made_of: dict) -> str:
    ears = ("judge", "beats")
    rows = [
        ["parameters", *(f"{made_of['parameters'][ear] / 1e6:.2f} M" for ear in ears)],
        ["files", *(f"{made_of['bytes'][ear] / 2**20:.1f} MB" for ear in ears)],
        [
            f"clips of {made_of['seconds']:.0f} s, each rendered and decoded",
            *(f"{made_of['clips'][ear]:,}" for ear in ears),
        ],
        ["training", *(f"{made_of['steps'][ear]:,} steps of {made_of['batch'][ear]} windows of 10 s" for ear in ears)],
    ]
    return "### Size\n\n" + _table(["", "judge", "beat tracker"], rows)


def _judge(numbers: dict) -> str:
    columns = [*COPIES, "takes"]
    rows = [
        [
            f"{attribute} ({', '.join(values)})",
            f"{1 / len(values):.0%}",
            *(_share(numbers["judge"][c].get(attribute)) for c in columns),
        ]
        for attribute, values in ATTRIBUTES.items()
    ]
    return "### Judge: zero-shot questions answered right\n\n" + _table(
        ["question", "chance", *COPIES.values(), "pocket's takes"], rows
    )


def _confusions(numbers: dict) -> str:
    """Counts; rows are the truth, columns the answers."""
    tables = []
    for attribute in ("genre", "lead"):
        values = list(ATTRIBUTES[attribute])
        for copy, title in (
            ("rendered", COPIES["rendered"]),
            ("decoded", COPIES["decoded"]),
            ("takes", "pocket's takes, by the word asked for"),
        ):
            counts = numbers["confusions"][copy][attribute]
            rows = [[value, *map(str, row)] for value, row in zip(values, counts, strict=True)]
            tables.append(
                f"Confusions, {attribute}, {title}; rows are the truth, columns the answers:\n\n"
                + _table(["", *values], rows)
            )
    return "\n\n".join(tables)


def _beats(numbers: dict) -> str:
    rows = [
        [f"{kind}, {COPIES[copy]}", tracker, _share(of["accuracy_1"]), _share(of["accuracy_2"]), _mean(of["f_measure"])]
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
        [tracker, _share(of["accuracy_1"]), _share(of["accuracy_2"]), _share(of["with_beats"]), _mean(of["steadiness"])]
        for tracker, of in numbers["beats_on_takes"].items()
    ]
    head = ["tracker", "tempo asked for is read", "or its octave", "with 4 beats or more", "steadiness"]
    return '### pocket\'s own takes, asked for "at N bpm"\n\n' + _table(head, rows)


def _recordings(numbers: dict) -> str:
    rows = []
    for name, of in numbers["recordings"].items():
        known = f"{of['known_bpm']:.0f}" if of["known_bpm"] else "not fixed"
        rows.append(
            [name, f"{of['seconds']:.0f} s", known, *(_bpm(of[tracker]["bpm"]) for tracker in numbers["trackers"])]
        )
    head = ["recording", "length", "known BPM", *numbers["trackers"]]
    return "### Free recordings: BPM read\n\n" + _table(head, rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _share(share: dict | None) -> str:
    return (
        "-"
        if share is None
        else f"{share['value']:.0%} [{100 * share['low']:.0f}, {100 * share['high']:.0f}], n = {share['n']}"
    )


def _mean(mean: dict) -> str:
    return f"{mean['value']:.2f} [{mean['low']:.2f}, {mean['high']:.2f}], n = {mean['n']}"


def _bpm(bpm: float | None) -> str:
    return "none" if bpm is None else f"{bpm:.1f}"


if __name__ == "__main__":
    main()
