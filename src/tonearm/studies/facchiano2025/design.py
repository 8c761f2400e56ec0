"""Sizes of the study: whole, as in the paper, and smoke, which only shows that everything runs."""

from collections.abc import Sequence
from dataclasses import dataclass

PAPER = "Facchiano et al. 2025"
PAPER_STRENGTH = 1.25  # of Table 1
SIGNS = {"+": 1, "-": -1}
# attribute of the paper -> prompt pair, and the measure that the paper uses
PAIR = {"tempo": "tempo", "timbre": "brightness"}
MEASURE = {"tempo": "bundled_tempo", "brightness": "spectral_centroid"}
# further measures of the same attribute, which share nothing with the bundled tracker
SECOND_MEASURE = {"tempo": "onset_rate", "brightness": "spectral_centroid"}
WORDS = {"tempo": ("fast", "slow"), "brightness": ("bright", "dark")}
# Table 1 of the paper: mean and deviation without steering and steered, relative change, FAD
TABLE_1 = {
    ("tempo", ""): (134.54, 14.38, None, None),
    ("tempo", "-"): (85.92, 8.48, -0.361, 6.76),
    ("tempo", "+"): (176.02, 17.35, 0.301, 4.64),
    ("brightness", ""): (1799.42, 270.22, None, None),
    ("brightness", "+"): (2161.15, 303.72, 0.20, 1.78),
    ("brightness", "-"): (1076.80, 200.04, -0.401, 3.49),
}
# strengths of random directions: that of the vector, and that of its divergence
EQUAL_NORM, EQUAL_DIVERGENCE = "equal norm", "equal divergence"
STRATEGIES = ("one-to-all", "all-to-all", "one-to-one")
BRANCHES = ("both", "conditional", "unconditional")


@dataclass(frozen=True)
class Design:
    """Sizes.

    name            whole or smoke
    seconds         of each take
    prompts         of each side of a pair that its direction is learned from
    scanned         layers of the scan at most, evenly spaced
    further         pairs beside those of the paper's tables, at most
    neutral         prompts of the layer scan, which choose
    sweep           neutral prompts of the sweep, of strategies, branches and steps
    held_out        prompts of Table 1
    strengths       of the sweep, in both signs; the paper has 0 to 5
    divergence      nats per frame at which variants are compared
    curve           strengths of the divergence curves
    curve_prompts   plain takes on which divergences are measured
    set_sizes       prompts per side
    draws           of each size
    size_prompts    neutral prompts per draw
    random          random directions of the norms of a vector
    control_prompts  neutral prompts of controls
    grid            strengths over those of equal divergence, in both attributes
    grid_prompts    neutral prompts per cell
    pair_prompts    neutral prompts per further pair and sign
    class_prompts   prompts of each side that train a pair's classifier
    """

    name: str
    seconds: float = 10.0
    prompts: int = 100
    scanned: int = 1000
    further: int = 1000
    neutral: int = 50
    sweep: int = 30
    held_out: int = 50
    strengths: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.25, 2.5, 5.0)
    divergence: float = 0.5
    curve: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    curve_prompts: int = 6
    set_sizes: tuple[int, ...] = (1, 2, 5, 10, 25, 50, 100)
    draws: int = 10
    size_prompts: int = 8
    random: int = 5
    control_prompts: int = 20
    grid: tuple[float, ...] = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
    grid_prompts: int = 12
    pair_prompts: int = 20
    class_prompts: int = 24

    def pairs(self, known: Sequence[str]) -> tuple[str, ...]:
        """Pairs of the study, of those that are known."""
        further = [name for name in known if name not in PAIR.values()]
        return tuple(
            name for name in known if name in PAIR.values() or name in further[: self.further]
        )

    def layers(self, layer_count: int) -> tuple[int, ...]:
        """Layers of the scan, of a checkpoint of so many."""
        count = min(self.scanned, layer_count)
        if count == 1:
            return (layer_count // 2,)
        return tuple(round(i * (layer_count - 1) / (count - 1)) for i in range(count))


WHOLE = Design("whole")
SMOKE = Design(
    "smoke",
    seconds=2.0,
    prompts=4,
    scanned=2,
    further=1,
    neutral=2,
    sweep=2,
    held_out=2,
    strengths=(0.05, 1.25),
    curve=(0.02, 0.5),
    curve_prompts=1,
    set_sizes=(1, 4),
    draws=2,
    size_prompts=1,
    random=1,
    control_prompts=2,
    grid=(-1.0, 0.0, 1.0),
    grid_prompts=1,
    pair_prompts=2,
    class_prompts=2,
)
