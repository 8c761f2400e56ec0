"""Section and claim of the report about SMITIN's protocol."""

from collections.abc import Mapping, Sequence

from tonearm.report.claims import Claim, Tested, counted_claim
from tonearm.report.study_page import Section
from tonearm.report.table import Table
from tonearm.stats.share import Share
from tonearm.studies.methods2026.claims import effect_text, listed
from tonearm.studies.methods2026.stem_steering import PUBLISHED, SENSES, StemResult

PAPER = "Koo et al. 2025 (SMITIN)"


def stem_claims(results: Sequence[StemResult]) -> list[Claim]:
    """The paper's trade of success for fidelity.

    Args:
        results: of all ways to steer; empty where no direction was found.
    """
    found = {(one.label, one.row): one for one in results}
    cases = [
        (found[label, PUBLISHED["smitin"]], found[label, PUBLISHED["iti"]])
        for label in SENSES
        if (label, PUBLISHED["iti"]) in found
    ]
    return [
        counted_claim(
            PAPER,
            "The self-monitored loop keeps takes nearer to plain ones than ITI, and succeeds less "
            "often (the paper, adding instruments: FAD 0.336 against 0.420, success 23.3 against "
            "49.9 %).",
            f"the FAD to plain takes of {PUBLISHED['smitin']} is below that of {PUBLISHED['iti']}, and "
            "its share of takes with the wanted label is no larger, in both senses (without intervals)",
            [_trades(own, other) for own, other in cases],
            listed(
                f"{own.label}: FAD {_number(own.fad)} against {_number(other.fad)}, success "
                f"{own.success} against {other.success} (plain {own.plain})"
                for own, other in cases
            ),
        )
    ]


def _trades(own: StemResult, other: StemResult) -> Tested:
    if own.fad is None or other.fad is None:
        return None
    return own.fad < other.fad and own.success.value <= other.success.value


def stem_section(results: Sequence[StemResult], accuracy: Mapping[str, Share]) -> Section:
    """Success and fidelity of all ways to steer.

    Args:
        results: of all ways to steer.
        accuracy: of the classifier on pieces that did not train it, by label.
    """
    known = "; ".join(f"{label}: {share}" for label, share in accuracy.items())
    return Section(
        "The protocol of SMITIN: success and fidelity",
        [
            "The paper adds instruments of MUSDB and MoisesDB to unconditional music of MusicGen large, "
            "with 1,536 heads; here drums are added to takes of prompts, or removed, with the heads of "
            "a small checkpoint and rendered pieces. ITI takes one head in eight at most, and σ is over "
            "the pieces. Success is by a classifier on the tags of musicnn, whose accuracy on rendered "
            f"pieces that did not train it is {known}.",
        ],
        tables=[stem_table(results)],
    )


def stem_table(results: Sequence[StemResult]) -> Table:
    return Table(
        "stems",
        "Drums added or removed on held-out prompts: share of takes with the wanted label, plain and "
        "steered; change of the level of high onsets and of the cosine of take and prompt; Fréchet "
        "distance to plain takes of the same prompts, which compares within this table alone; takes "
        "with a fault.",
        (
            "wanted",
            "steering",
            "plain",
            "success",
            "high onsets, dB",
            "text agreement",
            "FAD",
            "faulty",
        ),
        [
            [
                one.label,
                one.row or "none, other seeds",
                str(one.plain),
                str(one.success),
                effect_text(one.level, 1),
                effect_text(one.text, 3),
                _number(one.fad),
                str(one.faulty),
            ]
            for one in results
        ],
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
