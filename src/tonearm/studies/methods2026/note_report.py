"""Section and claims of the report about MusicRFM's protocol."""

from collections.abc import Sequence

from tonearm.report.claims import Claim, counted_claim
from tonearm.report.study_page import Section
from tonearm.report.table import Table
from tonearm.studies.methods2026.claims import effect_text, listed
from tonearm.studies.methods2026.design import RANDOM
from tonearm.studies.methods2026.note_probes import DIFFMEAN, RFM, Probe
from tonearm.studies.methods2026.note_steering import NoteResult

PREDICTOR = "rfm, predictor"
PAPER = "Zhao et al. 2025 (MusicRFM)"


def note_claims(probes: Sequence[Probe], results: Sequence[NoteResult]) -> list[Claim]:
    """The paper's claims about probes and notes.

    Args:
        probes: held-out scores; empty where nothing could be rendered.
        results: of steering to pitch classes.
    """
    return [_better_probes(probes), _steers_notes(results)]


def _better_probes(probes: Sequence[Probe]) -> Claim:
    cases = [
        (own, other)
        for own in probes
        if own.method == PREDICTOR
        for other in probes
        if other.task == own.task and not other.method.startswith(RFM)
    ]
    return counted_claim(
        PAPER,
        "Probes by recursive feature machines read notes and tempo better than linear probes.",
        "the held-out score of the machine's predictor is above that of each linear probe, for every "
        "pitch class and the tempo (scores without intervals)",
        [own.score > other.score for own, other in cases],
        listed(
            f"{own.task}: {own.score:.3f} against {other.score:.3f} by {other.method}"
            for own, other in cases
        ),
    )


def _steers_notes(results: Sequence[NoteResult]) -> Claim:
    cases = [one for one in results if one.facts["method"] == RFM]
    return counted_claim(
        PAPER,
        "The gated directions raise the target note (the paper: accuracy from 0.23 to 0.82), and text "
        "agreement stays within 0.02.",
        "the share of takes whose strongest pitch class is the target is above the plain one beyond its "
        "interval, and the mean cosine of take and prompt falls by at most 0.02, at every strength",
        [one.strongest.low > one.plain.value and one.text.change >= -0.02 for one in cases],
        listed(
            f"{one.facts['pitch_class']}, {_strength(one)}: {one.strongest} (plain {one.plain}), text "
            f"agreement {effect_text(one.text, 3)}"
            for one in cases
        ),
    )


def _strength(one: NoteResult) -> str:
    eta = one.facts["eta"]
    return f"{one.facts['nats']:g} nats" if eta is None else f"η = {eta:g}"


def note_section(probes: Sequence[Probe], results: Sequence[NoteResult]) -> Section:
    """Probes and steering of notes."""
    return Section(
        "The protocol of MusicRFM: probes and notes",
        [
            "The paper probes SynTheory on MusicGen large with 48 layers, searches 100 settings per "
            "layer, and steers with unit directions of all layers, weighted by their scores and gated "
            "with probability 0.3 at every layer and frame. Here two pitch classes and the tempo are "
            "probed on rendered clips by a search of 16 settings; the injection is the same. η is a "
            f"length, and the activations of this checkpoint are of another one. {DIFFMEAN} under the "
            "same injection and a random direction stand beside it.",
        ],
        tables=[probes_table(probes), steering_table(results)],
    )


def probes_table(probes: Sequence[Probe]) -> Table:
    return Table(
        "note-probes",
        "Held-out score of each probe in the layer that validation parts chose (AUC of a pitch class "
        "against the rest, correlation with BPM), the limit that 95 % of permutations do not exceed, "
        "and the layer. A predictor of RFM is not linear; its axis is the direction that steers.",
        ("task", "probe", "score", "null", "layer", "clips"),
        [
            [
                one.task,
                one.method,
                f"{one.score:.3f}",
                f"{one.null:.3f}",
                str(one.layer),
                str(one.clips),
            ]
            for one in probes
        ],
    )


def steering_table(results: Sequence[NoteResult]) -> Table:
    return Table(
        "note-steering",
        "Held-out prompts steered to a pitch class: share of takes in which it is the strongest of the "
        "mean chroma (chance 8 %), change of its share of the durations of all notes by basic-pitch, "
        "and change of the cosine of take and prompt.",
        (
            "pitch class",
            "direction",
            "strength",
            "nats per frame",
            "strongest, plain",
            "strongest",
            "share of notes",
            "text agreement",
        ),
        [
            [
                one.facts["pitch_class"],
                "random direction" if one.facts["method"] == RANDOM else one.facts["method"],
                _strength(one),
                f"{one.nats:.2f}",
                str(one.plain),
                str(one.strongest),
                "–" if one.share is None else effect_text(one.share, 3),
                effect_text(one.text, 3),
            ]
            for one in results
        ],
    )
