"""Check of the reference engine against Tonearm's decoder, in the installed version of transformers.

The check decodes three frames with and without steering by a random direction. It uses a float32
copy of the first blocks on random conditioning, so that it needs little time and memory for any
checkpoint, is independent of rounding in 16 bits, and leaves the checkpoint as it is.
"""

import copy
import math
from dataclasses import replace
from weakref import WeakSet

import torch
import transformers

from tonearm.errors import TonearmError
from tonearm.musicgen import reference
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Steer, Steering, SteeringVector, VectorInfo
from tonearm.steering.resolve import resolve

BLOCKS = 2
STEPS = 3
TEXT_TOKENS = 4
SEED = 0

_checked: WeakSet[torch.nn.Module] = WeakSet()


def check_reference(checkpoint: Checkpoint) -> None:
    """Compare the reference engine with the decoder, once per checkpoint.

    Args:
        checkpoint: with its decoder weights; the caller holds its lock.

    Raises:
        TonearmError: their codes differ, or `generate()` fails.
    """
    if checkpoint.model in _checked:
        return
    small = _first_blocks(checkpoint)
    decoder = Decoder(small)
    decoder.capture = None  # three steps are not worth a CUDA graph
    for kind, request in _requests(small).items():
        try:
            codes = reference.decode(small, request)
        except TonearmError:
            raise
        except Exception as error:
            raise _disagreement(f"generate() fails {kind}: {type(error).__name__}") from error
        decoding = Decoding(decoder, request)
        for _ in decoding:
            pass
        if not torch.equal(codes, decoding.codes.cpu()):
            raise _disagreement(f"codes differ from those of engine decoder {kind}")
    _checked.add(checkpoint.model)


def _disagreement(finding: str) -> TonearmError:
    return TonearmError(
        f"engine reference does not work with transformers {transformers.__version__} ({finding}); "
        "use engine decoder, or a version of transformers that docs/verified.md lists"
    )


def _first_blocks(checkpoint: Checkpoint) -> Checkpoint:
    """Copy of a checkpoint with the first blocks in float32; text encoder and codec are shared."""
    model, stack = checkpoint.model, checkpoint.model.decoder.model.decoder
    shared = {id(part): part for part in (model.text_encoder, model.audio_encoder)}
    blocks = torch.nn.ModuleList(copy.deepcopy(block) for block in stack.layers[:BLOCKS])
    small = copy.deepcopy(model, {**shared, id(stack.layers): blocks})
    for name, part in small.named_children():
        if name not in ("text_encoder", "audio_encoder"):
            part.float()
    shape = replace(checkpoint.shape, layer_count=len(blocks))
    return replace(checkpoint, shape=shape, model=small)


def _requests(checkpoint: Checkpoint) -> dict[str, DecodeRequest]:
    """A plain request and a steered one, of one guided row."""
    shape, device = checkpoint.shape, checkpoint.device
    generator = torch.Generator().manual_seed(SEED)
    width = shape.width if shape.text_in_prefix else checkpoint.model.text_encoder.config.d_model
    states = torch.randn(2, TEXT_TOKENS, width, generator=generator)
    mask = torch.ones(2, TEXT_TOKENS, dtype=torch.int64)
    if not shape.text_in_prefix:  # the null row of guidance
        states[1], mask[1] = 0, 0
    conditioning = Conditioning(
        states.to(device),
        mask.to(device),
        text_ids=torch.zeros(1, TEXT_TOKENS, dtype=torch.int64, device=device),
        text_mask=mask[:1].to(device),
        rows=1,
        guided=True,
        prefix=TEXT_TOKENS if shape.text_in_prefix else 0,
    )
    direction = torch.randn(shape.width, generator=generator)
    info = VectorInfo(
        name="random",
        checkpoint=shape.name,
        fingerprint=shape.fingerprint,
        width=shape.width,
        layer_count=shape.layer_count,
        best_layer=0,
    )
    vector = SteeringVector({0: direction / math.sqrt(shape.width)}, info)
    steering = Steering(
        steers=(
            Steer(
                vector="random", strength=1.0, operator="blend", scale="activation", source_layer=0
            ),
        )
    )
    frames = max(STEPS, shape.min_frames)
    sampling = [Sampling(guidance=3.0)]
    plain = DecodeRequest(conditioning, frames, sampling, [SEED], ())
    plan = resolve([steering], {"random": vector}, shape, frames, device)
    return {"without steering": plain, "with steering": replace(plain, plan=plan)}
