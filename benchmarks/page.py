"""Performance page: performance.json -> performance.md and performance.png."""

import json
from pathlib import Path

CASE_COLUMNS = (
    "checkpoint", "decoder's weights", "rows", "seconds", "vectors", "generate()", "decoder",
    "faster", "floor", "decoder / floor", "real time", "same codes", "peak GiB",
)  # fmt: skip
CUDA_COLUMNS = (
    "shape", "rows", "vectors", "ms per step, median", "floor, ms", "decoding, s", "clips per hour",
    "generate(), ms per step",
)  # fmt: skip


def add_results(folder: Path, section: str, results: object, measured_on: dict) -> None:
    """Store the results of one section, and write the page again.

    Args:
        folder: folder of performance.json.
        section: key of the results.
        results: JSON data.
        measured_on: `machine`, and `pocket` (name or fingerprint of the weights), both text.
    """
    store = folder / "performance.json"
    known = json.loads(store.read_text()) if store.exists() else {}
    known[section] = results
    known.setdefault("measured_on", {})[section] = measured_on
    store.write_text(json.dumps(known, indent=1) + "\n")
    write_page(folder)


def write_page(folder: Path) -> None:
    """Write performance.md and performance.png from performance.json."""
    known = json.loads((folder / "performance.json").read_text())
    lines = [
        "# Performance",
        "",
        "`benchmarks.decode`, `.steering`, `.streaming`, `.precision`, `.prepare` and "
        "`.throughput` write this page; run them with `python -m`.",
        "Each section names the machine and the shapes of its figures.",
        "musicgen shapes have random weights; the released weights were never measured.",
    ]
    origin = known.get("measured_on", {})
    if cases := [case for group in known.get("cases", {}).values() for case in group]:
        lines += decoding(cases, origin["cases"])
        draw(cases, folder / "performance.png")
    for section, write in (
        ("steering", steering),
        ("streaming", streaming),
        ("precision", precision),
        ("preparation", preparation),
        ("throughput", throughput),
        ("throughput_cuda", throughput),
        ("cuda", cuda),
    ):
        if section in known:
            lines += write(known[section], origin[section])
    lines += ["", "[Notes](performance-notes.md) have the targets, profiles and experiments."]
    (folder / "performance.md").write_text("\n".join(lines) + "\n")


def origin_line(origin: dict) -> str:
    return f"Machine: {origin['machine']}. pocket: {origin['pocket']}."


def table(columns: tuple[str, ...], rows: list[list[object]]) -> list[str]:
    """Return the lines of a Markdown table."""
    cells = [columns, ["---"] * len(columns), *rows]
    return ["", *("| " + " | ".join(map(str, row)) + " |" for row in cells)]


def decoding(cases: list[dict], origin: dict) -> list[str]:
    rows = [
        [
            case["checkpoint"],
            case["precision"],
            case["rows"],
            f"29 + {case['seconds']:g}" if case["prompt_seconds"] else f"{case['seconds']:g}",
            case["vectors"],
            case["generate_ms"],
            case["decoder_ms"],
            f"**{case['faster']}x**",
            case["floor_ms"],
            f"{case['of_floor']}x",
            f"{case['real_time']}x",
            "yes" if case["same_codes"] else "no",
            case["peak_gib"],
        ]
        for case in cases
    ]
    return [
        "",
        "## Decoding",
        "",
        origin_line(origin),
        "Figures of `generate()`, decoder and floor are milliseconds per step: medians of both "
        "engines, measured alternately in one process, guidance on, codes only.",
        "The first step, which reads the prompt, is excluded.",
        "`generate()` computes in float32 with SDPA, the decoder with the weights of its column.",
        "",
        "- *Floor*: time to read the weights of a step and the cache at the middle of the clip "
        "once, at the read bandwidth measured between the runs (median).",
        '- *"29 +" seconds*: decoded after an audio prompt of 29 s, at the end of the window.',
        "- *Real time*: seconds of audio per second, over all rows.",
        "- *Same codes*: whether all codes equal those of `generate()`. Packed matrix products can "
        "round differently in the last bit of the logits; the codes then differ from some step on. "
        + different_codes(cases),
        "- *Peak*: memory of the process so far, with the weights of both engines.",
        "",
        "![Milliseconds per step](performance.png)",
        *table(CASE_COLUMNS, rows),
    ]


def different_codes(cases: list[dict]) -> str:
    """Return a sentence on the float32 cases whose codes differ from those of generate()."""
    listed = [
        f"{case['checkpoint']} at {case['rows']} rows ({case['faster']}x as fast)"
        for case in cases
        if case["precision"] == "float32" and not case["same_codes"]
    ]
    return f"In float32: {', '.join(listed)}." if listed else "In float32 this did not occur."


def steering(results: list[dict], origin: dict) -> list[str]:
    rows = [
        [
            one["checkpoint"],
            one["precision"],
            f"{one['step_ms']} ms",
            f"{one['cost_1']:+.1%}",
            f"{one['cost_8']:+.1%}",
        ]
        for one in results
    ]
    return [
        "",
        "## Steering",
        "",
        origin_line(origin),
        "Cost of vectors in every layer for a step of one row, guidance on: medians of the ratio "
        f"over {results[0]['repeats']} repeats.",
        *table(("checkpoint", "weights", "step without", "one vector", "eight vectors"), rows),
    ]


def streaming(results: list[dict], origin: dict) -> list[str]:
    rows = [
        [
            f"{one['chunk_seconds'] * 1000:g} ms",
            "yes" if one.get("rewinds") else "no",
            f"{one['first_sound_ms']} ms",
            f"{one['control_ms']} ms",
            f"{one['control_worst_ms']} ms",
            one["changes"],
            f"{one['latest_chunk_ms']} ms",
        ]
        for one in results
    ]
    columns = (
        "chunk",
        "rewinds",
        "first sound",
        "control latency, median",
        "worst",
        "changes",
        "latest chunk",
    )
    return [
        "",
        "## Streaming",
        "",
        origin_line(origin),
        f"pocket, 10 s, guidance on, {results[0]['threads']} threads, float32.",
        "",
        "- *Rewinds*: whether frames are decided again for a change (`rewinds=True`).",
        "- *First sound*: from the call to the first chunk, median of 5.",
        "- *Control latency*: from `set_strength` until the first sample of the affected frame is "
        "played, in a player that requests a chunk 15 ms before it is due.",
        "- *Latest chunk*: largest delay of a chunk beyond its due time (0: none).",
        *table(columns, rows),
    ]


def precision(results: dict, origin: dict) -> list[str]:
    rows = [
        [
            name,
            weights,
            row.get("divergence", 0),
            f"{row['top_code_changed']:.1%}" if "top_code_changed" in row else "0",
            row["loss"],
            *(
                f"{row[key]}x" if key in row else ""
                for key in ("spectral_centroid_ratio", "onset_ratio")
            ),
        ]
        for name, weights_of in results.items()
        for weights, row in weights_of.items()
    ]
    columns = (
        "checkpoint", "weights", "divergence", "most likely code changed", "loss, nats",
        "spectral centroid of takes", "onset rate of takes",
    )  # fmt: skip
    return [
        "",
        "## Lower precision",
        "",
        origin_line(origin),
        "The same codes are teacher-forced at each precision, without guidance.",
        "pocket: 16 takes of 5 s (held-out prompts, seeds 0 to 15) of its float32 decoder.",
        "musicgen-small: random weights and random codes, 4 rows of 50 frames.",
        "",
        "- *Divergence*: Kullback-Leibler divergence from float32 in nats, mean over positions and "
        "codebooks.",
        "- *Ratios*: geometric means over takes of equal seeds. Such takes diverge at the first "
        "code that differs, and takes of other seeds differ as much.",
        *table(columns, rows),
    ]


def preparation(results: list[dict], origin: dict) -> list[str]:
    columns = ("requests", "seconds", "memory, MiB", "tokenizer calls")
    rows = [
        [f"{one['requests']:,}", one["seconds"], one["memory_mib"], one["tokenizer_calls"]]
        for one in results
    ]
    return [
        "",
        "## Preparation",
        "",
        f"Machine: {origin['machine']}. Random weights of musicgen-small's shape.",
        "Time and memory to check, tokenise and pack requests before decoding starts: every "
        "request has a prompt of its own, half of them are steered all-to-all.",
        "Memory is the largest growth of the resident set.",
        *table(columns, rows),
    ]


def throughput(results: dict, origin: dict) -> list[str]:
    columns = ("condition", "takes per hour", "baseline", "takes per hour", "ratio", "range")
    rows = [
        [
            one["compared"],
            f"{one['compared_per_hour']:,}",
            one["baseline"],
            f"{one['baseline_per_hour']:,}",
            f"**{one['ratio']}x**",
            f"{one['lowest']}x to {one['highest']}x",
        ]
        for one in results["comparisons"]
    ]
    return [
        "",
        f"## Throughput of a study on {results['device'].upper()}",
        "",
        origin_line(origin),
        f"{results['takes']} plain takes of {results['seconds']:g} s of {results['checkpoint']}, "
        f"{results['precision']}, groups {', '.join(results['groups'])}.",
        f"Medians over {results['repeats']} repeats, in each of which all conditions run in turn; "
        "a ratio is of two runs of one repeat.",
        f"Unless the row states otherwise: {results['rows']} rows per batch, one worker that "
        "measures, and the number of rows that the codec chooses for the device.",
        *table(columns, rows),
    ]


def cuda(results: list[dict], origin: dict) -> list[str]:
    rows = [[row.get(column, "") for column in CUDA_COLUMNS] for row in results]
    return [
        "",
        "## CUDA (one H200)",
        "",
        origin_line(origin),
        "bfloat16, random weights of the released shapes, 10-s clips, guidance on, codes only "
        "unless stated; entered by hand.",
        "",
        "- pocket in float32 generates the codes of the reference engine token for token: without "
        "steering, with one and two vectors, and with the operators `add`, `blend`, `rotate`, "
        "`remove` and `clamp` (2 prompts, 4 s).",
        "- Streams with a live change, batches, learning, bfloat16 and float16 run, and graphs are "
        "captured without a warning.",
        "- *Floor*: time to read the weights and the cache of a step once.",
        *table(CUDA_COLUMNS, rows),
    ]


def draw(cases: list[dict], path: Path) -> None:
    """Draw milliseconds per step of both engines, with floor and real time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.42 * len(cases) + 1.4), layout="constrained")
    axes = figure.subplots()
    for index, case in enumerate(cases):
        first = index == 0  # one legend entry per kind
        axes.barh(
            index - 0.19,
            case["generate_ms"],
            0.36,
            color="#b8bfc8",
            label="generate()" if first else None,
        )
        axes.barh(
            index + 0.19,
            case["decoder_ms"],
            0.36,
            color="#c2410c",
            label="Tonearm's decoder" if first else None,
        )
        axes.plot(
            [case["floor_ms"]] * 2,
            [index, index + 0.38],
            color="black",
            lw=1.6,
            label="floor" if first else None,
        )
        # milliseconds of audio per step
        frame = case["real_time"] * case["decoder_ms"] / case["rows"]
        axes.plot(
            [frame] * 2,
            [index - 0.38, index + 0.38],
            color="#2563eb",
            ls=":",
            lw=1.6,
            label="real time" if first else None,
        )
        axes.annotate(
            f"{case['faster']:g}x",
            (case["decoder_ms"], index + 0.19),
            (3, 0),
            textcoords="offset points",
            va="center",
            size=7,
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [label(case) for case in cases], size=8)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds per step (log scale); a step of n rows makes n frames of audio")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.4, 1.0 + 0.9 / len(cases)),
        ncols=4,
        fontsize=8,
    )
    figure.savefig(path, dpi=130)


def label(case: dict) -> str:
    rows, vectors = case["rows"], case["vectors"]
    parts = [case["checkpoint"], case["precision"], f"{rows} row{'s' if rows > 1 else ''}"]
    parts += [f"{vectors} vector{'s' if vectors > 1 else ''}"] if vectors else []
    parts += ["end of 30 s"] if case["prompt_seconds"] else []
    return ", ".join(parts)
