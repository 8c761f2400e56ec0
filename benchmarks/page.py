"""performance.json -> performance.md and performance.png: all that the benchmarks measured, in words and numbers."""

import json
from pathlib import Path

HEAD = "| checkpoint | decoder's weights | rows | seconds | vectors | generate() | decoder | faster | floor | decoder / floor | real time | same codes | peak GiB |"


def add_results(folder: Path, name: str, found: object) -> None:
    """Put what was measured beside what is known, and write the page again."""
    store = folder / "performance.json"
    known = json.loads(store.read_text()) if store.exists() else {}
    store.write_text(json.dumps(known | {name: found}, indent=1) + "\n")
    write_page(folder)


def write_page(folder: Path) -> None:
    known = json.loads((folder / "performance.json").read_text())
    lines = [
        "# Performance",
        "",
        "This page is written by `python -m benchmarks.decode`, `.steering`, `.streaming` and `.precision`.",
        "",
    ]
    if cases := [case for group in known.get("cases", {}).values() for case in group]:
        lines += decoding(known["machine"], cases)
        draw(cases, folder / "performance.png")
    if "steering" in known:
        lines += steering(known["steering"])
    if "streaming" in known:
        lines += streaming(known["streaming"])
    if "precision" in known:
        lines += precision(known["precision"])
    lines += ["", "What the targets were, where the time goes, and what was tried: [notes](performance-notes.md)."]
    (folder / "performance.md").write_text("\n".join(lines) + "\n")


def decoding(machine: str, cases: list[dict]) -> list[str]:
    lines = [
        "## Decoding", "",
        f"Machine: {machine}. Milliseconds a step: medians of both engines in turns in one process, guidance on, codes only, the first step (which reads the prompt) left out; generate() computes in float32 with SDPA, the "
        "decoder with the weights named. The floor is the time to read, once, the weights of a step and the cache at the middle of the clip, at the read "
        "bandwidth measured between the turns (median). musicgen checkpoints: random weights of the released shapes. \"29 +\" seconds: decoded after an audio "
        "prompt of 29 s, at the end of the window. Real time: seconds of audio a second, over all rows. Where float32 codes are not the same, the two part at some step: packed products round "
        "otherwise in the last bit. Peak: of the whole process so far, both engines' weights included.", "",
        "![Milliseconds a step](performance.png)", "",
        HEAD, "|" + "---|" * (HEAD.count("|") - 1),
    ]  # fmt: skip
    for case in cases:
        seconds = f"29 + {case['seconds']:g}" if case["heard"] else f"{case['seconds']:g}"
        same = "yes" if case["same_codes"] else "no"
        lines.append(
            f"| {case['checkpoint']} | {case['precision']} | {case['rows']} | {seconds} | {case['vectors']} | {case['generate_ms']} | {case['decoder_ms']} | "
            f"**{case['faster']}x** | {case['floor_ms']} | {case['of_floor']}x | {case['real_time']}x | {same} | {case['peak_gib']} |"
        )
    return lines


def steering(found: list[dict]) -> list[str]:
    lines = [
        "", "## Steering", "",
        f"What vectors in every layer add to a step of one row, guidance on: medians of the ratio within {found[0]['turns']} turns.", "",
        "| checkpoint | weights | step without | one vector | eight vectors |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found:
        lines.append(
            f"| {one['checkpoint']} | {one['precision']} | {one['step_ms']} ms | {one['cost_1']:+.1%} | {one['cost_8']:+.1%} |"
        )
    return lines


def streaming(found: list[dict]) -> list[str]:
    lines = [
        "", "## Streaming", "",
        f"pocket, 10 s, guidance on, {found[0]['threads']} threads, float32. First sound: from the call to the first chunk, median of 5. Slider to sample: from `turn` to the moment at which the first "
        "sample of the frame that it acted on sounds, in a player that asks for a chunk 15 ms before it is due. Latest chunk: how much too late one came at worst (0: never).", "",
        "| chunk | first sound | slider to sample, median | worst | turns | latest chunk |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found:
        lines.append(
            f"| {one['chunk_seconds'] * 1000:g} ms | {one['first_sound_ms']} ms | {one['slider_ms']} ms | {one['slider_worst_ms']} ms | {one['turns']} | {one['latest_chunk_ms']} ms |"
        )
    return lines


def precision(found: dict) -> list[str]:
    lines = [
        "", "## What fewer bits cost", "",
        "Both hear the same codes and say what comes next, without guidance. pocket: 16 takes of 5 s (held-out prompts, seeds 0..15) that its float32 decoder made; musicgen-small: random "
        "weights and random codes, 4 rows of 50 frames. Divergence: Kullback-Leibler, nats, mean over positions and codebooks. Ratios: geometric means over whole takes of the same seeds, which "
        "part at the first code that differs; other seeds would differ as much.", "",
        "| checkpoint | weights | divergence | likeliest code is another | loss, nats | brightness of takes | onset rate of takes |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, rows in found.items():
        for weights, row in rows.items():
            ratios = [f"{row[key]}x" if key in row else "" for key in ("brightness_ratio", "onset_ratio")]
            other = f"{row['other_likeliest']:.1%}" if "other_likeliest" in row else "0"
            lines.append(
                f"| {name} | {weights} | {row.get('divergence', 0)} | {other} | {row['loss']} | {' | '.join(ratios)} |"
            )
    return lines


def draw(cases: list[dict], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.42 * len(cases) + 1.4), layout="constrained")
    axes = figure.subplots()
    for place, case in enumerate(cases):
        axes.barh(place - 0.19, case["generate_ms"], 0.36, color="#b8bfc8", label="generate()" if not place else None)
        axes.barh(
            place + 0.19, case["decoder_ms"], 0.36, color="#c2410c", label="Tonearm's decoder" if not place else None
        )
        axes.plot(
            [case["floor_ms"]] * 2, [place, place + 0.38], color="black", lw=1.6, label="floor" if not place else None
        )
        frame = case["real_time"] * case["decoder_ms"] / case["rows"]  # milliseconds of audio that a step makes
        axes.plot(
            [frame] * 2,
            [place - 0.38, place + 0.38],
            color="#2563eb",
            ls=":",
            lw=1.6,
            label="real time" if not place else None,
        )
        axes.annotate(f"{case['faster']:g}x", (case["decoder_ms"], place + 0.19), (3, 0), textcoords="offset points", va="center", size=7)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [label(case) for case in cases], size=8)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds a step (log scale); a step of n rows makes n frames of audio")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.4, 1.0 + 0.9 / len(cases)), ncols=4, fontsize=8)
    figure.savefig(path, dpi=130)


def label(case: dict) -> str:
    parts = [case["checkpoint"], case["precision"], f"{case['rows']} row{'s' if case['rows'] > 1 else ''}"]
    parts += [f"{case['vectors']} vector{'s' if case['vectors'] > 1 else ''}"] if case["vectors"] else []
    parts += ["end of 30 s"] if case["heard"] else []
    return ", ".join(parts)
