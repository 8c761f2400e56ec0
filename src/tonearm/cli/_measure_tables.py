"""What `tonearm measure` prints: a table, rows for a spreadsheet, or JSON; each number can tell its protocol."""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.cli._screen import new_table, out, print_facts, print_json
from tonearm.cli._takes import ABSENT, number

if TYPE_CHECKING:
    from tonearm.analysis.clusters import Clusters
    from tonearm.measures import FAD, KAD, Classifier, Description, KeyEstimate, TempoEstimate

CSV_HEADINGS = ("file", "measure", "value", "unit", "protocol")
MOST_COLUMNS = 5  # of shares beside a file name, in 80 columns
KEY_HEADING = "key\n"
COLUMNS: dict[str, Callable[["Description"], str]] = {
    "tempo\nBPM": lambda found: number(found.tempo.measurement, 1),
    KEY_HEADING: lambda found: (found.key.key or ABSENT).replace("major", "maj").replace("minor", "min"),
    "centroid\nHz": lambda found: number(found.brightness, 0),
    "roll-off\nHz": lambda found: number(found.rolloff, 0),
    "LUFS\n": lambda found: number(found.loudness, 1),
    "peak\ndBTP": lambda found: number(found.true_peak, 1),
    "crest\ndB": lambda found: number(found.crest, 1),
    "onsets\n/s": lambda found: number(found.onset_rate, 2),
}


@dataclass(frozen=True)
class Failure:
    """A file that could not be measured, and why in one line."""

    path: Path
    reason: str

    def to_dict(self) -> dict[str, str]:
        return {"file": str(self.path), "error": self.reason}


@dataclass(frozen=True)
class MeasuredFile:
    path: Path
    sample_rate: int
    channels: int
    description: "Description"
    scores: list[dict[str, Any]]  # of judges and classifiers, as they stand in JSON

    def to_dict(self) -> dict[str, object]:
        heard = {str(score["name"]): score for score in self.scores}
        return {
            "file": str(self.path),
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            **self.description.to_dict(),
            "scores": heard,
        }


@dataclass
class Output:
    """Rows of CSV are printed as they come, tables and JSON at the end."""

    form: str  # table, csv or json
    files: list[MeasuredFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        if self.form == "csv":
            self._csv.writerow(CSV_HEADINGS)

    def add(self, measured: MeasuredFile) -> None:
        self.files.append(measured)
        if self.form == "csv":
            self._csv.writerows(_rows(measured))
            sys.stdout.flush()

    def finish(self, distances: Sequence["FAD | KAD"], failures: Sequence[Failure]) -> None:
        if self.form == "json":
            print_json(
                {
                    "files": [measured.to_dict() for measured in self.files],
                    "sets": [distance.to_dict() for distance in distances],
                    "failed": [failure.to_dict() for failure in failures],
                }
            )
        elif self.form == "csv":
            for distance in distances:
                self._csv.writerows(_distance_rows(distance))
        else:
            self._print_tables()
            if self.files and distances:
                out.print()
            for distance in distances:
                _print_distance(distance)

    def _print_tables(self) -> None:
        if len(self.files) == 1:
            _print_one(self.files[0])
        elif self.files:
            names = _short_names([measured.path for measured in self.files])
            _print_descriptions(names, self.files)
            for index in range(len(self.files[0].scores)):
                _print_scores(names, [measured.scores[index] for measured in self.files])


def _rows(measured: MeasuredFile) -> Iterator[tuple[object, ...]]:
    """One for each number; what cannot be told is left empty."""
    name = str(measured.path)
    yield name, "seconds", measured.description.seconds, "s", ""
    for one in measured.description.measurements:
        yield name, one.name, one.value, one.unit, one.protocol
    key = measured.description.key.to_dict()
    yield name, "key", key["value"], "", key["protocol"]
    yield name, "key_confidence", key["confidence"], "correlation", key["protocol"]
    yield name, "faults", "; ".join(measured.description.faults), "", ""
    for score in measured.scores:
        yield name, score["name"], score["value"], score["unit"], score["protocol"]
        for kind in ("probabilities", "cosines"):
            for label, value in (score.get(kind) or {}).items():
                unit = "probability" if kind == "probabilities" else "cosine"
                yield name, f"{score['name']} {unit}: {label}", value, unit, score["protocol"]


def _distance_rows(distance: "FAD | KAD") -> Iterator[tuple[object, ...]]:
    content = distance.to_dict()
    yield distance.source, content["name"], distance.value, content["unit"], distance.protocol
    if content.get("extrapolated") is not None:
        protocol = f"{distance.protocol}, extrapolated to infinite n"
        yield distance.source, f"{content['name']}_extrapolated", content["extrapolated"], content["unit"], protocol


def _print_one(measured: MeasuredFile) -> None:
    found = measured.description
    channels = "mono" if measured.channels == 1 else f"{measured.channels} channels"
    print_facts(
        {
            "file": str(measured.path),
            "length": f"{found.seconds:.2f} s, {measured.sample_rate} Hz, {channels}",
            "tempo": _tempo_text(found.tempo),
            "onsets": _told(found.onset_rate.value, ".2f", " per second"),
            "key": _key_text(found.key),
            "brightness": f"centroid {number(found.brightness, 0)} Hz, roll-off {number(found.rolloff, 0)} Hz, "
            f"{_told(found.high_energy.value, '.0%')} of the power above 2 kHz",
            "loudness": f"{number(found.loudness, 1)} LUFS, range {number(found.loudness_range, 1)} LU",
            "peak": f"{number(found.peak, 1)} dBFS, true peak {number(found.true_peak, 1)} dBTP, "
            f"crest factor {number(found.crest, 1)} dB",
            "faults": ", ".join(found.faults) or "none",
        }
    )
    for score in measured.scores:
        print_facts({str(score["name"]).replace("_", " "): _score_text(score), "": str(score["protocol"])})


def _tempo_text(tempo: "TempoEstimate") -> str:
    if tempo.bpm is None:
        return ABSENT
    return (
        f"{tempo.bpm:.1f} BPM (median {tempo.bpm_median:.1f}), {len(tempo.beats)} beats by {tempo.tracker}, "
        f"steadiness {_told(tempo.steadiness, '.2f')}, confidence {_told(tempo.confidence, '.2f')}"
    )


def _key_text(key: "KeyEstimate") -> str:
    if key.key is None:
        return ABSENT
    return f"{key.key}, confidence {_told(key.confidence, '.2f')}, majorness {_told(key.majorness.value, '+.2f')}"


def _print_descriptions(names: Sequence[str], files: Sequence[MeasuredFile]) -> None:
    table = new_table("file\n", *COLUMNS, numbers=[heading for heading in COLUMNS if heading != KEY_HEADING])
    for name, measured in zip(names, files, strict=True):
        table.add_row(name, *(read(measured.description) for read in COLUMNS.values()))
    out.print(table)
    for name, measured in zip(names, files, strict=True):
        for fault in measured.description.faults:
            out.print(f"fault in {name}: {fault}")
    out.print(
        f"tempo by {files[0].description.tempo.tracker}; --csv and --json tell more, and each number's protocol",
        style="dim",
    )


def _print_scores(names: Sequence[str], scores: Sequence[dict[str, Any]]) -> None:
    """A table of one judge's or classifier's scores."""
    title = str(scores[0]["name"]).replace("_", " ")
    labels = next((list(score["probabilities"]) for score in scores if score.get("probabilities")), [])
    texts = list(dict.fromkeys(score["text"] for score in scores if "text" in score))
    if len(texts) > 1:
        table = new_table("file", title, "text", numbers=[title])
        for name, score in zip(names, scores, strict=True):
            table.add_row(name, _told(score["value"], ".3f"), score["text"])
    elif not labels:
        table = new_table("file", title, numbers=[title])
        for name, score in zip(names, scores, strict=True):
            table.add_row(name, _told(score["value"], ".3f") if not isinstance(score["value"], str) else score["value"])
    elif len(labels) <= MOST_COLUMNS:
        table = new_table("file", title, *labels, numbers=labels)
        for name, score in zip(names, scores, strict=True):
            shares = score["probabilities"] or {}
            table.add_row(name, score["value"] or ABSENT, *(_told(shares.get(label), ".2f") for label in labels))
    else:
        table = new_table("file", title)
        for name, score in zip(names, scores, strict=True):
            table.add_row(name, _score_text(score, 3))
    out.print()
    out.print(table)
    out.print(_shared_protocol(scores), style="dim")


def _shared_protocol(scores: Sequence[dict[str, Any]]) -> str:
    """The protocol of one column: without the text where each file has its own, which stands in its row."""
    texts = {score.get("text") for score in scores}
    protocol = str(scores[0]["protocol"])
    return protocol if len(texts) == 1 else protocol.removesuffix(f", text {scores[0]['text']!r}") + ", a text for each"


def _score_text(score: dict[str, Any], most: int = 99) -> str:
    """`jazz .81 (cosine .32), rock .19 (cosine .21)`, the likeliest first; a plain number as it is."""
    shares = score.get("probabilities")
    if not shares:
        return ABSENT if score["value"] is None else f"{score['value']:.3f}"
    cosines = score.get("cosines") or {}
    ranked = sorted(shares, key=shares.__getitem__, reverse=True)[:most]
    return ", ".join(
        f"{label} {shares[label]:.2f}" + (f" (cosine {cosines[label]:.2f})" if label in cosines else "")
        for label in ranked
    )


def _print_distance(distance: "FAD | KAD") -> None:
    content = distance.to_dict()
    extrapolated = content.get("extrapolated")
    more = "" if extrapolated is None else f", {extrapolated:.4g} extrapolated to infinitely many files"
    name = {"frechet": "Fréchet distance", "kernel": "kernel distance"}[str(content["name"])]
    print_facts({name: f"{distance.value:.4g}{more}", "": distance.protocol})


def print_trained(classifier: "Classifier", path: Path, failures: Sequence[Failure], as_json: bool) -> None:
    if as_json:
        print_json({"file": str(path), **classifier.to_dict(), "failed": [failure.to_dict() for failure in failures]})
        return
    print_classifier(classifier)
    out.print(f"wrote {path}; use it:\n  tonearm measure FILES --classifier {path}", soft_wrap=True)


def print_classifier(classifier: "Classifier") -> None:
    accuracy = classifier.accuracy
    interval = f"95 % interval {100 * accuracy.low:.0f} to {100 * accuracy.high:.0f} %, {accuracy.n} tracks"
    print_facts(
        {
            "classifier": classifier.name,
            "trained on": ", ".join(f"{count} {label}" for label, count in classifier.counts.items()),
            "heard by": classifier.embedder,
            "accuracy": f"{100 * accuracy.value:.0f} % held out, {interval}",
            "chance": f"{100 * classifier.chance:.0f} % (always the commonest label)",
        }
    )
    table = new_table(
        "true, held out",
        *(f"told {label}" for label in classifier.labels),
        numbers=[f"told {label}" for label in classifier.labels],
    )
    for label, counts in zip(classifier.labels, classifier.confusion, strict=True):
        table.add_row(label, *map(str, counts))
    out.print(table)


def print_clusters(clusters: "Clusters", failures: Sequence[Failure], as_json: bool) -> None:
    if as_json:
        print_json({**clusters.to_dict(), "failed": [failure.to_dict() for failure in failures]})
        return
    print_facts(
        {
            "adjusted Rand index": f"{clusters.ari:.3f}",
            "normalised mutual information": f"{clusters.nmi:.3f}",
            "": clusters.protocol,
        }
    )
    columns = [str(number) for number in range(1, len(clusters.labels) + 1)]
    table = new_table(
        "Jaccard index\nof label and cluster",
        *(f"\n{column}" for column in columns),
        numbers=[f"\n{column}" for column in columns],
    )
    for label, row in zip(clusters.labels, clusters.jaccard, strict=True):
        table.add_row(label, *(f"{value:.2f}" for value in row))
    out.print(table)


def _told(value: float | None, spec: str, unit: str = "") -> str:
    return ABSENT if value is None else f"{value:{spec}}{unit}"


def _short_names(paths: Sequence[Path]) -> list[str]:
    """File names, where no two are the same; else the paths."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
