"""Opening of a stream: prepared rows, encoded as one batch and ready to be decoded step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch

from tonearm.escapes import shortened
from tonearm.generation.build_take import TakeBuilder
from tonearm.generation.encode import encode_batch, encode_prompt, place_in_batch, text_records
from tonearm.generation.played import Played, PlayedSection, as_played
from tonearm.generation.prepare import PreparedRequest
from tonearm.generation.provenance import MAX_STATEMENT
from tonearm.generation.statement import played_steering
from tonearm.generation.stream import Stream
from tonearm.generation.take import Take
from tonearm.musicgen.codec import decode_codes
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import DecoderEngine
from tonearm.musicgen.kept_codes import rewind_of
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.steering.amounts import amount_places
from tonearm.steering.combination import share_of
from tonearm.steering.vector import SteeringVector


def open_stream(
    engine: DecoderEngine,
    rows: Sequence[PreparedRequest],
    vectors: Mapping[str, SteeringVector],
    builder: TakeBuilder,
    chunk_frames: int,
    rewinds: bool,
) -> Stream:
    """Encode the rows of a stream, and allocate the memory in which they are decoded.

    Args:
        engine: decodes.
        rows: the steered row, prepared for live settings; of a twin stream the plain row too.
        vectors: that the rows name.
        builder: of the takes at the end.
        chunk_frames: length of a chunk.
        rewinds: changes act from the first frame of which no audio was made.
    """
    checkpoint, first = engine.checkpoint, rows[0]
    request = encode_batch(checkpoint, rows, vectors, live=True)
    decoding = Decoding(engine.decoder, request)
    codecs = [StreamingCodec(checkpoint) for _ in rows]
    requested = first.request.steering
    sections = [
        PlayedSection(frame, text, texts)
        for (frame, text), texts in zip(first.prompts, text_records(request), strict=True)
    ]
    return Stream(
        decoding,
        codecs,
        first.steering,
        amount_places(requested, vectors),
        share_of(requested, live=True),
        first.sampling,
        sections,
        partial(encode_prompt, checkpoint, request, first),
        chunk_frames,
        partial(_takes_of, request, rows, vectors, builder),
        rewinds,
    )


def _takes_of(
    request: DecodeRequest,
    rows: Sequence[PreparedRequest],
    vectors: Mapping[str, SteeringVector],
    builder: TakeBuilder,
    played: Played,
    codes: torch.Tensor,
) -> list[Take]:
    """The takes of the rows, from the settings that they were played with and their codes [B, K, T].

    Only the steered row has vectors, whose strengths and monitored steers may have changed.
    """
    ended = [as_played(one, played) for one in rows]
    ended[0] = replace(ended[0], steering=played.steering)
    texts, shape = [one.texts for one in played.sections], builder.checkpoint.shape
    takes = []
    for row, own in enumerate(codes):
        place = place_in_batch(request, ended, row, texts=texts, frames=played.allocated)
        clip = decode_codes(builder.checkpoint, own)
        acted = {} if row else played.acted
        rewinds = (rewind_of(own, frame, shape.channels) for frame in played.rewinds)
        prepared = replace(ended[row], rewinds=tuple(rewinds))
        takes.append(builder.build(prepared, vectors, place, own, clip, acted))
    takes[0] = _stated(takes[0])
    return takes


def _stated(take: Take) -> Take:
    """The take with its steering in words as it was played, unless a rule of combination divided the
    strengths.
    """
    asked = take.provenance.stated_steering
    if not asked.steers or asked.combine not in ("none", "orthogonal"):
        return take
    stated = shortened(played_steering(take), MAX_STATEMENT)
    provenance = take.provenance.model_copy(update={"stated": stated})
    return replace(take, provenance=provenance)
