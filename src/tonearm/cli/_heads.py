"""Attention heads of a vector, and its monitor, as text and as data."""

from typing import TYPE_CHECKING, Any

from tonearm.cli._screen import new_table, out

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector, VectorInfo

SHOWN = 10  # heads of the table


def print_best_heads(info: "VectorInfo") -> None:
    """Print the heads of the largest weight; nothing for a method that does not fit heads."""
    if not info.head_scores:
        return
    names = tuple(info.head_scores)
    of_heads = [
        (layer, head, *values)
        for layer, by_score in _by_layer(info).items()
        for head, values in enumerate(zip(*by_score, strict=True))
    ]
    order = ("weight", "accuracy", "auc")
    columns = [2 + names.index(name) for name in order if name in names]
    best = sorted(of_heads, key=lambda one: [-one[column] for column in columns])[:SHOWN]
    headings = ("layer", "head", *names)
    table = new_table(*headings, numbers=headings)
    for layer, head, *values in best:
        table.add_row(str(layer), str(head), *(f"{value:.3f}" for value in values))
    out.print(f"best heads, {len(best)} of {len(of_heads)}", style="bold")
    out.print(table)


def monitor_facts(vector: "SteeringVector") -> dict[str, str]:
    """The monitor as a fact; nothing for a method that does not fit heads."""
    if vector.monitor:
        count, threshold = len(vector.monitor), vector.monitor.threshold
        return {"monitor": f"{count} heads, threshold {threshold:.3f}"}
    if vector.info.head_scores:
        return {"monitor": f"none: pooling {vector.info.pooling} reads no music; use last or mean"}
    return {}


def monitor_data(vector: "SteeringVector") -> dict[str, Any] | None:
    """The monitor as plain data, without the weights of its probes."""
    monitor = vector.monitor
    if monitor is None:
        return None
    return {
        "layers": monitor.layers.tolist(),
        "heads": monitor.heads.tolist(),
        "threshold": monitor.threshold,
    }


def _by_layer(info: "VectorInfo") -> dict[int, list[tuple[float, ...]]]:
    """The scores of each layer's heads, in the order of their names."""
    layers = sorted(set.intersection(*(set(one) for one in info.head_scores.values())))
    return {layer: [scores[layer] for scores in info.head_scores.values()] for layer in layers}
