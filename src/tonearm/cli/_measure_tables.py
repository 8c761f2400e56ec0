"""Output of the commands that measure audio: tables, rows of CSV, or JSON with protocols."""

import csv
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.cli._screen import csv_row, new_table, out, print_facts, print_json
from tonearm.cli._takes import ABSENT, number

if TYPE_CHECKING:
    from tonearm.analysis.clusters import Clusters, Null
    from tonearm.datasets.audio_files import FailedFile
    from tonearm.datasets.skips import Skipped
    from tonearm.measures import (
        FAD,
        KAD,
        Classifier,
        Description,
        KeyEstimate,
        MeasuredFile,
        TempoEstimate,
    )

CSV_HEADINGS = ("file", "measure", "value", "unit", "protocol")
MOST_TAGS = 8  # of one file, by probability
MOST_COLUMNS = 5  # of probabilities beside a file name, in 80 columns
KEY_HEADING = "key\n"


def _column(measure: str, decimals: int) -> Callable[["Description"], str]:
    return lambda description: number(description[measure], decimals)


COLUMNS: dict[str, Callable[["Description"], str]] = {
    "tempo\nBPM": _column("tempo", 1),
    "pulse\n": _column("pulse_clarity", 2),
    KEY_HEADING: lambda description: (
        (description.key.key or ABSENT).replace("major", "maj").replace("minor", "min")
    ),
    "centroid\nHz": _column("spectral_centroid", 0),
    "roll-off\nHz": _column("spectral_rolloff", 0),
    "LUFS\n": _column("loudness", 1),
    "peak\ndBTP": _column("true_peak", 1),
    "onsets\n/s": _column("onset_rate", 2),
}


@dataclass
class Output:
    """Measurements of files; rows of CSV are printed one by one, tables and JSON at the end."""

    form: str  # table, csv or json
    files: list["MeasuredFile"] = field(default_factory=list)
    failures: list["FailedFile"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        if self.form == "csv":
            self._csv.writerow(CSV_HEADINGS)

    def add(self, found: "MeasuredFile | FailedFile") -> None:
        from tonearm.datasets.audio_files import FailedFile

        if isinstance(found, FailedFile):
            self.failures.append(found)
            return
        self.files.append(found)
        if self.form == "csv":
            self._csv.writerows(map(csv_row, _rows(found)))
            sys.stdout.flush()

    def finish(self) -> None:
        if self.form == "json":
            files = [measured.to_dict() for measured in self.files]
            print_json({"files": files, "failed": [one.to_dict() for one in self.failures]})
        elif self.form == "table":
            self._print_tables()

    def _print_tables(self) -> None:
        if len(self.files) == 1:
            _print_one(self.files[0])
        elif self.files:
            names = _short_names([measured.path for measured in self.files])
            _print_descriptions(names, self.files)
            if self.files[0].notes:
                _print_notes(names, self.files)
            for index in range(len(self.files[0].scores)):
                _print_scores(names, [measured.scores[index] for measured in self.files])


def print_distances(
    distances: Sequence["FAD | KAD"], failures: Sequence["FailedFile"], form: str
) -> None:
    """Print distances of sets.

    Args:
        distances: of one set to its reference.
        failures: files of the set that could not be used.
        form: "table", "csv" or "json".
    """
    if form == "json":
        entries = [distance.to_dict() for distance in distances]
        print_json({"sets": entries, "failed": [failure.to_dict() for failure in failures]})
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(CSV_HEADINGS)
        for distance in distances:
            writer.writerows(map(csv_row, _distance_rows(distance)))
    else:
        for distance in distances:
            _print_distance(distance)


def _rows(measured: "MeasuredFile") -> Iterator[tuple[object, ...]]:
    """One for each number; an undefined value is empty."""
    name = str(measured.path)
    yield name, "seconds", measured.description.seconds, "s", ""
    for one in (*measured.description.measurements, *measured.notes):
        yield name, one.name, one.value, one.unit, one.protocol
    yield name, "faulty", measured.description.faulty, "", ""
    yield name, "faults", "; ".join(measured.description.faults), "", ""
    for score in measured.scores:
        yield name, score["name"], score["value"], score["unit"], score["protocol"]
        for kind, unit in (("probabilities", "probability"), ("cosines", "cosine")):
            for label, value in (score.get(kind) or {}).items():
                yield name, f"{score['name']} {unit}: {label}", value, unit, score["protocol"]


def _distance_rows(distance: "FAD | KAD") -> Iterator[tuple[object, ...]]:
    content = distance.to_dict()
    name, unit = content["name"], content["unit"]
    yield distance.source, name, distance.value, unit, distance.protocol
    if content.get("extrapolated") is not None:
        protocol = f"{distance.protocol}, extrapolated to infinite n"
        yield distance.source, f"{name}_extrapolated", content["extrapolated"], unit, protocol


def _print_one(measured: "MeasuredFile") -> None:
    found = measured.description
    channels = "mono" if measured.channels == 1 else f"{measured.channels} channels"
    ratio = _text(found["high_frequency_ratio"].number, ".0%")
    print_facts(
        {
            "file": str(measured.path),
            "length": f"{found.seconds:.2f} s, {measured.sample_rate} Hz, {channels}",
            "tempo": _tempo_text(found.tempo),
            "pulse clarity": number(found["pulse_clarity"], 2),
            "onsets": f"{_text(found['onset_rate'].number, '.2f', ' per second')}, "
            f"SuperFlux {number(found['onset_rate_superflux'], 2)}",
            "held tones": _held_text(found),
            "key": _key_text(found.key),
            "brightness": f"centroid {number(found['spectral_centroid'], 0)} Hz, "
            f"roll-off {number(found['spectral_rolloff'], 0)} Hz, "
            f"{ratio} of the power above 2 kHz",
            "loudness": f"{number(found['loudness'], 1)} LUFS, "
            f"range {number(found['loudness_range'], 1)} LU",
            "peak": f"{number(found['peak'], 1)} dBFS, "
            f"true peak {number(found['true_peak'], 1)} dBTP, "
            f"crest factor {number(found['crest_factor'], 1)} dB",
            "faulty": "yes: " + "; ".join(found.faults) if found.faulty else "no",
        }
    )
    if measured.notes:
        rate, polyphony, pitch, share = (one.number for one in measured.notes)
        text = (
            f"{_text(rate, '.2f')} per second, {_text(polyphony, '.1f')} at a time, "
            f"mean pitch {_text(pitch, '.1f')} (MIDI), in {_text(share, '.0%')} of the time"
        )
        print_facts({"notes": text, "": measured.notes[0].protocol})
    for score in measured.scores:
        title = str(score["name"]).replace("_", " ")
        most = MOST_TAGS if title == "tags" else None
        print_facts({title: _score_text(score, most), "": str(score["protocol"])})


def _held_text(found: "Description") -> str:
    share = _text(found["held_share"].number, ".0%")
    return (
        f"longest {number(found['held_tone'], 1)} s, {share} of tonal energy in tones of 4 s or "
        f"more; static for {number(found['static'], 1)} s; "
        f"comb buzz {number(found['comb_buzz'], 1)} dB"
    )


def _tempo_text(tempo: "TempoEstimate") -> str:
    if tempo.bpm is None:
        return f"{ABSENT} {tempo.unconfirmed} (beats by {tempo.tracker})"
    return (
        f"{tempo.bpm:.1f} BPM (median {tempo.bpm_median:.1f}), {len(tempo.beats)} beats by "
        f"{tempo.tracker}, regularity {_text(tempo.beat_regularity, '.2f')}, "
        f"confidence {_text(tempo.confidence, '.2f')}"
    )


def _key_text(key: "KeyEstimate") -> str:
    if key.key is None:
        return ABSENT
    confidence, majorness = _text(key.confidence, ".2f"), _text(key.majorness, "+.2f")
    return f"{key.key}, confidence {confidence}, majorness {majorness}"


def _print_descriptions(names: Sequence[str], files: Sequence["MeasuredFile"]) -> None:
    numeric = [heading for heading in COLUMNS if heading != KEY_HEADING]
    table = new_table("file\n", *COLUMNS, numbers=numeric)
    for name, measured in zip(names, files, strict=True):
        table.add_row(name, *(cell(measured.description) for cell in COLUMNS.values()))
    out.print(table)
    for name, measured in zip(names, files, strict=True):
        for fault in measured.description.faults:
            out.print(f"faulty: {name}: {fault}", style="bold")
        if measured.description.tempo.unconfirmed:
            out.print(f"no tempo in {name}: {measured.description.tempo.unconfirmed}")
    out.print(
        f"tempo by {files[0].description.tempo.tracker}; "
        "--csv and --json have all measures with their protocols",
        style="dim",
    )


def _print_notes(names: Sequence[str], files: Sequence["MeasuredFile"]) -> None:
    headings = ["notes\n/s", "at a\ntime", "pitch\nMIDI", "share of\nthe time"]
    table = new_table("file\n", *headings, numbers=headings)
    for name, measured in zip(names, files, strict=True):
        cells = (
            number(one, decimals)
            for one, decimals in zip(measured.notes, (2, 1, 1, 2), strict=True)
        )
        table.add_row(name, *cells)
    out.print()
    out.print(table)
    out.print(files[0].notes[0].protocol, style="dim")


def _print_scores(names: Sequence[str], scores: Sequence[dict[str, Any]]) -> None:
    """Print a table of one kind of score."""
    title = str(scores[0]["name"]).replace("_", " ")
    labels = next(
        (list(score["probabilities"]) for score in scores if score.get("probabilities")), []
    )
    texts = list(dict.fromkeys(score["text"] for score in scores if "text" in score))
    if len(texts) > 1:
        table = new_table("file", title, "text", numbers=[title])
        for name, score in zip(names, scores, strict=True):
            table.add_row(name, _text(score["value"], ".3f"), score["text"])
    elif not labels:
        table = new_table("file", title, numbers=[title])
        for name, score in zip(names, scores, strict=True):
            table.add_row(
                name,
                _text(score["value"], ".3f")
                if not isinstance(score["value"], str)
                else score["value"],
            )
    elif len(labels) <= MOST_COLUMNS:
        table = new_table("file", title, *labels, numbers=labels)
        for name, score in zip(names, scores, strict=True):
            probabilities = score["probabilities"] or {}
            table.add_row(
                name,
                score["value"] or ABSENT,
                *(_text(probabilities.get(label), ".2f") for label in labels),
            )
    else:
        table = new_table("file", title)
        for name, score in zip(names, scores, strict=True):
            table.add_row(name, _score_text(score, 3))
    out.print()
    out.print(table)
    out.print(_shared_protocol(scores), style="dim")


def _shared_protocol(scores: Sequence[dict[str, Any]]) -> str:
    """The protocol of one column, without the text where each row has its own."""
    texts = {score.get("text") for score in scores}
    if len(texts) == 1:
        return str(scores[0]["protocol"])
    shared = (str(score["protocol"]).removesuffix(f", text {score['text']!r}") for score in scores)
    return "; ".join(dict.fromkeys(shared)) + ", a text for each"


def _score_text(score: dict[str, Any], most: int | None = None) -> str:
    """`jazz 0.81 (cosine 0.32), rock 0.19 (cosine 0.21)`, most probable first; or one number."""
    probabilities = score.get("probabilities")
    if not probabilities:
        return ABSENT if score["value"] is None else f"{score['value']:.3f}"
    cosines = score.get("cosines") or {}
    ranked = sorted(probabilities, key=probabilities.__getitem__, reverse=True)[:most]
    return ", ".join(
        f"{label} {probabilities[label]:.2f}"
        + (f" (cosine {cosines[label]:.2f})" if label in cosines else "")
        for label in ranked
    )


def _print_distance(distance: "FAD | KAD") -> None:
    content = distance.to_dict()
    extrapolated = content.get("extrapolated")
    more = "" if extrapolated is None else f", {extrapolated:.4g} extrapolated to infinite n"
    title = {"fad": "Fréchet distance", "kad": "kernel distance"}[str(content["name"])]
    print_facts({title: f"{distance.value:.4g}{more}", "": distance.protocol})


def print_trained(
    classifier: "Classifier", path: Path, skipped: Sequence["Skipped"], as_json: bool
) -> None:
    """Print a trained classifier.

    Args:
        classifier: the classifier.
        path: its file.
        skipped: items of the corpus that were left out.
        as_json: print one JSON object.
    """
    if as_json:
        left_out = [one.to_dict() for one in skipped]
        print_json({"file": str(path), **classifier.to_dict(), "skipped": left_out})
        return
    print_classifier(classifier)
    use = f"tonearm measure FILES --classifier {shlex.quote(str(path))}"
    out.print(f"wrote {path}; use it:\n  {use}", soft_wrap=True)


def print_classifier(classifier: "Classifier") -> None:
    """Print the accuracy and the confusion matrix of a classifier."""
    accuracy = classifier.accuracy
    interval = f"95 % interval {100 * accuracy.low:.0f} to {100 * accuracy.high:.0f} %"
    counts = ", ".join(f"{count} {label}" for label, count in classifier.counts.items())
    print_facts(
        {
            "classifier": classifier.name,
            "trained on": counts,
            "embeddings": classifier.embedder,
            "accuracy": f"{100 * accuracy.value:.0f} % held out, {interval}, {accuracy.n} tracks",
            "chance": f"{100 * classifier.chance:.0f} % (always the most common label)",
        }
    )
    predicted = [f"predicted {label}" for label in classifier.labels]
    table = new_table("true, held out", *predicted, numbers=predicted)
    for label, row in zip(classifier.labels, classifier.confusion, strict=True):
        table.add_row(label, *map(str, row))
    out.print(table)


def _above_chance(value: float, null: "Null") -> str:
    return f"{value:.3f} (permuted labels: {null.mean:.3f}, 95 % below {null.bound:.3f})"


def print_clusters(clusters: "Clusters", skipped: Sequence["Skipped"], as_json: bool) -> None:
    """Print the indices and the Jaccard matrix of clusters.

    Args:
        clusters: of a labelled corpus.
        skipped: items of the corpus that were left out.
        as_json: print one JSON object.
    """
    if as_json:
        print_json({**clusters.to_dict(), "skipped": [one.to_dict() for one in skipped]})
        return
    print_facts(
        {
            "adjusted Rand index": _above_chance(clusters.ari, clusters.nulls["ari"]),
            "adjusted mutual information": _above_chance(clusters.ami, clusters.nulls["ami"]),
            "normalised mutual information": _above_chance(clusters.nmi, clusters.nulls["nmi"]),
            "": clusters.protocol,
        }
    )
    columns = [f"\n{column}" for column in range(1, len(clusters.labels) + 1)]
    table = new_table("Jaccard index\nof label and cluster", *columns, numbers=columns)
    for label, row in zip(clusters.labels, clusters.jaccard, strict=True):
        table.add_row(label, *(f"{value:.2f}" for value in row))
    out.print(table)


def _text(value: float | None, spec: str, unit: str = "") -> str:
    return ABSENT if value is None else f"{value:{spec}}{unit}"


def _short_names(paths: Sequence[Path]) -> list[str]:
    """File names where they differ, otherwise the paths."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
