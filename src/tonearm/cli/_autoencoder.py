"""Output of autoencoders: their provenance and fidelity."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.cli._screen import new_table, out, print_facts, print_json
from tonearm.cli._takes import ABSENT

if TYPE_CHECKING:
    from tonearm.features.info import AutoencoderInfo, Fidelity
    from tonearm.features.trained import TrainedAutoencoder

MOST_ACTIVE = 8  # features in the table of `tonearm inspect`


def described(trained: "TrainedAutoencoder") -> dict[str, Any]:
    """Provenance of an autoencoder, as JSON."""
    return {"content_hash": trained.content_hash(), **trained.info.model_dump(mode="json")}


def data_text(info: "AutoencoderInfo") -> str:
    """`611 takes of 611 prompts, 31 held out`"""
    clips, tracks = ("takes", "prompts") if info.source == "prompts" else ("segments", "recordings")
    return f"{info.clips} {clips} of {info.tracks} {tracks}, {info.validation_tracks} held out"


def fidelity_cells(fidelity: "Fidelity") -> Mapping[str, str]:
    """Numbers of the fidelity by heading."""
    recovered = fidelity.recovered
    return {
        "FVU": f"{fidelity.fvu:.3f}",
        "L0": f"{fidelity.l0:.1f}",
        "dead": f"{100 * fidelity.dead_share:.1f} %",
        "CE recovered": ABSENT if recovered is None else f"{100 * recovered:.1f} %",
        "pass-through": f"{fidelity.pass_through:.2f} nats",
    }


def inspect_autoencoder(file: Path, as_json: bool) -> None:
    """Print the content of an autoencoder's file."""
    from tonearm.features.trained import load_autoencoder

    trained = load_autoencoder(file)
    if as_json:
        print_json(described(trained))
        return
    info, settings, fidelity = trained.info, trained.info.settings, trained.info.fidelity
    nested = ", ".join(f"{share:g}" for share in settings.prefixes[:-1])
    print_facts(
        {
            "autoencoder": f"{info.features} features, {settings.k} active per frame",
            "checkpoint": f"{info.checkpoint} ({info.fingerprint}), {info.precision}",
            "activations": f"layer {info.layer} of {info.layer_count}, {info.site}, width "
            f"{info.width}, mean norm {info.mean_norm:.4g}, scale {info.scale:.4g}",
            "threshold": f"{info.threshold:.4g}",
            "data": f"{data_text(info)}, data {info.data_hash}",
            "training": f"{settings.rows} frames, {settings.batch_rows} a step, base rate "
            f"{settings.base_rate:g}, seed {settings.seed}",
            "nested": nested and f"shares {nested} of the features",
            **fidelity_cells(fidelity),
            "cross-entropy": f"{fidelity.cross_entropy:.2f} nats per frame, "
            f"{fidelity.reconstructed:.2f} with reconstructions, {fidelity.ablated:.2f} with the mean "
            "activation",
            "made by": f"tonearm {info.library_version}",
            "hash": trained.content_hash(),
        }
    )
    table = new_table("feature", "frames", "peak", numbers=("feature", "frames", "peak"))
    for feature in trained.shares.argsort(descending=True)[:MOST_ACTIVE].tolist():
        share, peak = float(trained.shares[feature]), float(trained.peaks[feature])
        table.add_row(str(feature), f"{100 * share:.1f} %", f"{peak:.4g}")
    out.print(table)
