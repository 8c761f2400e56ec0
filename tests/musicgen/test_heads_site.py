"""Site heads: an offset of head outputs is that of the attention output behind the projection."""

import pytest
import torch

from tests.musicgen.decode_requests import request_for
from tests.steering.vectors import vector_of
from tonearm.musicgen import reference
from tonearm.steering import Steer, Steering, SteeringVector

STEER = Steer(vector="v", strength=1.5, strategy="all-to-all")


class LastStates:
    """Tap that keeps the activations of its last call."""

    def __call__(self, h, span):
        self.states = h.clone()


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_adding_inside_the_output_projection_is_adding_its_product_behind_it(model_of, variant):
    model = model_of(variant)
    checkpoint, shape = model.checkpoint, model.shape
    size = shape.width // shape.heads
    inside = vector_of(model, site="heads")
    # one head of each layer, as in the published intervention
    alone = {
        layer: torch.cat(
            [
                direction[head * size : (head + 1) * size] * (head == layer % shape.heads)
                for head in range(shape.heads)
            ]
        )
        for layer, direction in inside.directions.items()
    }
    inside = SteeringVector(alone, inside.info)
    with torch.no_grad():
        products = {
            layer: checkpoint.layers[layer].self_attn.out_proj.weight @ direction
            for layer, direction in alone.items()
        }
        for layer, direction in alone.items():
            head = layer % shape.heads
            part = slice(head * size, (head + 1) * size)
            weight = checkpoint.layers[layer].self_attn.out_proj.weight
            assert torch.allclose(products[layer], weight[:, part] @ direction[part], atol=1e-6)
    behind = SteeringVector(products, inside.info.model_copy(update={"site": "attention"}))
    codes, states = [], []
    for vector in (inside, behind):
        request = request_for(model, Steering(steers=(STEER,)), {"v": vector})
        taps = {("residual", layer): [LastStates()] for layer in range(shape.layer_count)}
        codes.append(model.engine.decode(request, read=taps))
        states.append([tap.states for (tap,) in taps.values()])
        assert torch.equal(reference.decode(checkpoint, request), codes[-1])
    assert torch.equal(*codes)
    for first, second in zip(*states, strict=True):
        torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)
    assert not torch.equal(codes[0], model.engine.decode(request_for(model)))
