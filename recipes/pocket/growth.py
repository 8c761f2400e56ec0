"""More layers for a decoder that has learned what its own can hold.

New layers lie among the old ones and add nothing yet, so that nothing is lost and a deeper decoder does not spend its first thousands of steps at
twice the price on what a shallow one learns as well (progressive stacking, after Gong et al. 2019, who start from copies).
"""

import torch
from transformers import MusicgenMelodyForConditionalGeneration


def kept_places(first_layers: int, layers: int) -> list[int]:
    """Where each of `first_layers` layers lies among `layers`: evenly spread, the first one first."""
    return [i * layers // first_layers for i in range(first_layers)]


@torch.no_grad()
def hand_over(model: MusicgenMelodyForConditionalGeneration, deeper: MusicgenMelodyForConditionalGeneration) -> None:
    """Let `deeper`, freshly built, do what `model` does."""
    old, new = model.decoder.model.decoder.layers, deeper.decoder.model.decoder.layers
    places = kept_places(len(old), len(new))
    layers = "decoder.model.decoder.layers."
    rest = {name: value for name, value in model.state_dict().items() if not name.startswith(layers)}
    loaded = deeper.load_state_dict(rest, strict=False)
    assert not loaded.unexpected_keys and all(name.startswith(layers) for name in loaded.missing_keys)
    for place, layer in enumerate(new):
        if place in places:
            layer.load_state_dict(old[places.index(place)].state_dict())
        else:
            layer.self_attn.out_proj.weight.zero_()
            layer.fc2.weight.zero_()
