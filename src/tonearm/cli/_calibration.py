"""Calibrations as text, for `tonearm calibrate` and `tonearm vectors`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tonearm.steering import Configuration, Evidence, SignCalibration


def sign_text(found: "SignCalibration", sign: int) -> str:
    """`raw:+0.045, rotate, layers 0..2`, or the reason of a failure."""
    if found.strength is None:
        return f"fails: {found.failure}"
    return ", ".join([f"raw:{sign * found.strength:+g}", *_changes(found.configuration)])


def _changes(configuration: "Configuration") -> list[str]:
    """What a configuration has beyond one-to-all addition."""
    from tonearm.cli._takes import layers_text

    found: list[str] = [configuration.operator] if configuration.operator != "add" else []
    if configuration.strategy == "one-to-one":
        found.append(f"layer {configuration.source_layer} alone")
    elif configuration.strategy != "one-to-all":
        found.append(configuration.strategy)
    if configuration.layers is not None:
        found.append(layers_text(configuration.layers))
    found += [f"{configuration.branch} branch"] if configuration.branch != "both" else []
    return found + ([f"ramp {configuration.ramp:g} s"] if configuration.ramp else [])


def evidence_text(found: "SignCalibration") -> str:
    """Effect and damage in three lines; empty without evidence."""
    evidence = found.evidence
    if evidence is None:
        return ""
    return (
        f"{effect_text(evidence)}\nfaulty {evidence.faulty_steered:.0%} "
        f"({evidence.faulty_plain:.0%} plain), pulse {evidence.pulse_ratio:.2f}, "
        f"CLAP score {-evidence.text_loss:+.3f}, n {evidence.prompts}"
    )


def effect_text(evidence: "Evidence") -> str:
    """`spectral_centroid +58% [+51%, +66%]`, or a difference for levels and scores."""
    return f"{evidence.measure} {evidence.interval}"
