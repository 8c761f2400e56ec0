"""Add layers to a trained decoder.

New layers are inserted between the old ones with zero output, so that the function of the decoder
is preserved. A deeper decoder then does not spend its first thousands of steps, at twice the cost,
on what a shallower one learns as well (progressive stacking, after Gong et al. 2019, who start from
copies).
"""

import torch
from transformers import MusicgenMelodyForConditionalGeneration

LAYERS = "decoder.model.decoder.layers."


def kept_layers(first_layers: int, layers: int) -> list[int]:
    """Return the index of each of `first_layers` layers among `layers`.

    They are evenly spread, the first one first.
    """
    return [i * layers // first_layers for i in range(first_layers)]


@torch.no_grad()
def copy_into_deeper(
    model: MusicgenMelodyForConditionalGeneration, deeper: MusicgenMelodyForConditionalGeneration
) -> None:
    """Copy the weights of `model` into the freshly built `deeper`.

    Its new layers then add nothing.

    Args:
        model: trained decoder.
        deeper: the same architecture with more layers; changed in place.

    Raises:
        ValueError: if the two differ in anything but their number of layers.
    """
    old, new = model.decoder.model.decoder.layers, deeper.decoder.model.decoder.layers
    kept = kept_layers(len(old), len(new))
    rest = {
        name: value for name, value in model.state_dict().items() if not name.startswith(LAYERS)
    }
    # strict=False, since `rest` omits the layers. Any other difference is an error.
    loaded = deeper.load_state_dict(rest, strict=False)
    in_layers = {name for name in deeper.state_dict() if name.startswith(LAYERS)}
    if loaded.unexpected_keys or set(loaded.missing_keys) != in_layers:
        unexpected = [*loaded.unexpected_keys, *sorted(set(loaded.missing_keys) ^ in_layers)]
        raise ValueError(
            f"the deeper decoder differs in more than its layers: {', '.join(unexpected[:5])}"
        )
    for index, layer in enumerate(new):
        if index in kept:
            layer.load_state_dict(old[kept.index(index)].state_dict())
        else:
            layer.self_attn.out_proj.weight.zero_()
            layer.fc2.weight.zero_()
