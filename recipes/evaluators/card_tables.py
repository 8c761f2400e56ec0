"""Tables of the evaluators' model card, from the numbers of its card.json."""

from recipes.evaluators.captions import ATTRIBUTES

COPIES = {
    "rendered": "rendered",
    "decoded": "decoded by pocket's codec",
    "quieter": "20 dB quieter",
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
