"""Model: a loaded checkpoint with its library of vectors; the facade of generation."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, overload

import numpy as np
import torch

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.batching import BatchProgress, Limits, Order, batch_shape, pack
from tonearm.generation.build_take import TakeBuilder
from tonearm.generation.check import check_rewinds, check_settings
from tonearm.generation.divergence import divergence_of
from tonearm.generation.encode import encode_batch, overlap_frames, place_in_batch
from tonearm.generation.open_stream import open_stream
from tonearm.generation.prepare import PreparedRequest, prepare, unsteered
from tonearm.generation.provenance import MAX_ROWS, BatchRecord
from tonearm.generation.reproduction import (
    batch_of,
    recorded_shape,
    reproduced_shape,
    with_recorded_texts,
)
from tonearm.generation.request import AudioLike, TakeRequest, prompt_sections
from tonearm.generation.stream import Stream
from tonearm.generation.take import Take
from tonearm.musicgen.checkpoint import Checkpoint, load_checkpoint
from tonearm.musicgen.codec import decode_at, decode_rows
from tonearm.musicgen.engine import DEFAULT_ENGINE, DecoderEngine, check_engine, engine_for
from tonearm.musicgen.kept_codes import Rewind
from tonearm.musicgen.memory_estimate import (
    FREE_SHARE,
    BatchShape,
    batch_rows_limit,
    check_memory,
    decoding_bytes,
    memory_budget,
    rows_that_fit,
)
from tonearm.musicgen.sampling import DEFAULT_TOP_K, Sampling
from tonearm.musicgen.trial import check_parts
from tonearm.musicgen.variants import POCKET
from tonearm.progress import Progress
from tonearm.steering.library import VectorLibrary
from tonearm.steering.shorthand import SteeringLike, as_steering
from tonearm.steering.spec import Combine
from tonearm.steering.vector import SteeringVector

MAX_CHUNK_SECONDS = 10


class Model:
    """A loaded checkpoint.

    shape       its numbers
    vectors     steering vectors by name: `model.vectors["tempo"]`
    checkpoint  text encoder, codec and tokenizer; its decoder weights are consumed if `consume`
    engine      decodes

    Args:
        checkpoint: as `load_checkpoint` returns it.
        engine: "decoder" or "reference".
        consume: move the decoder's weights into the engine, so that they are in memory once.
    """

    def __init__(self, checkpoint: Checkpoint, engine: str = DEFAULT_ENGINE, consume: bool = False):
        boundary.instance(checkpoint, "checkpoint", Checkpoint, "a Checkpoint, by load_checkpoint")
        check_parts(checkpoint)
        self.checkpoint, self.shape = checkpoint, checkpoint.shape
        self.engine = engine_for(checkpoint, engine, consume)
        self.vectors = VectorLibrary(checkpoint.shape)

    def __repr__(self) -> str:
        shape, checkpoint = self.shape, self.checkpoint
        layers = f"{shape.layer_count} layers of {shape.width}"
        return (
            f"<tonearm.Model {shape.name}: {layers}, {checkpoint.device}, {checkpoint.precision}>"
        )

    def with_engine(self, name: str) -> "Model":
        """The same checkpoint and vectors with another engine, "decoder" or "reference".

        The weights are loaded again if this model's engine has consumed them.

        Raises:
            TonearmError: an unknown engine, or weights that are gone or have changed.
        """
        if check_engine(name) == self.engine.name:
            return self
        consumed = self.checkpoint.consumed
        checkpoint = self.checkpoint.reload() if consumed else self.checkpoint
        other = Model(checkpoint, name, consume=consumed and name == DecoderEngine.name)
        other.vectors = self.vectors
        return other

    def sampling(
        self,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> Sampling:
        """Sampling settings; those not given are the checkpoint's own."""
        return self.checkpoint.sampling.overridden(guidance, temperature, top_k, top_p)

    def generate(
        self,
        prompt: str,
        *,
        steer: SteeringLike = None,
        combine: Combine | None = None,
        seconds: float = 10.0,
        seed: int | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int = DEFAULT_TOP_K,
        top_p: float = 1.0,
        negative: str | None = None,
        continue_from: AudioLike | None = None,
        melody: AudioLike | None = None,
        sections: Sequence[tuple[float, str]] | None = None,
        progress: Progress | None = None,
    ) -> Take:
        """Generate one take. See `generate_batch` for several.

        Args:
            prompt: the music in words.
            steer: `{"tempo": 1.25}`, `"tempo=1.25"`, a Steering, or a list of Steers; names are
                looked up in `self.vectors`.
            combine: rule for several steers: "none", "sqrt", "mean" or "orthogonal"; default: that
                of the Steering, or none.
            seconds: of new music. Clips longer than the checkpoint's window are generated window by
                window, each continuing the end of the one before.
            seed: of the sampling noise; default: a random one, recorded in the take's provenance.
            guidance: classifier-free guidance; 1 or less switches it off; default: the checkpoint's
                own.
            temperature: 0 takes the most likely code; default: the checkpoint's own.
            top_k: 0 for no limit.
            top_p: 1 for no limit.
            negative: words to steer away from, in place of guidance's empty prompt.
            continue_from: audio prompt; it is part of the take. Of a prompt that is longer than
                the window leaves room for, the end is used.
            melody: to follow (melody checkpoints).
            sections: further prompts, as (seconds, prompt) in order of time, such as `[(8.0, "slow
                jazz with piano")]`; times count from the start of the clip, audio prompt included.
            progress: called with frames done and frames in all.

        Raises:
            TonearmError: any mistake in the arguments, before decoding starts.
        """
        steering, given = as_steering(steer, combine)
        request = TakeRequest(
            prompt=_checked_prompt(prompt),
            seed=secrets.randbelow(2**31) if seed is None else seed,
            steering=steering,
            sampling=self.sampling(guidance, temperature, top_k, top_p),
            negative=negative,
            seconds=seconds,
            continue_from=continue_from,
            melody=melody,
            sections=boundary.optional(prompt_sections, sections, "sections") or (),
        )
        (take,) = self.generate_batch([request], vectors=given, batch_size=1, progress=progress)
        return take

    @overload
    def generate_batch(
        self,
        requests: Sequence[TakeRequest],
        *,
        vectors: Mapping[str, SteeringVector] | None = None,
        order: Literal["input"] = "input",
        batch_size: int | None = None,
        memory_gib: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Take]: ...

    @overload
    def generate_batch(
        self,
        requests: Sequence[TakeRequest],
        *,
        vectors: Mapping[str, SteeringVector] | None = None,
        order: Literal["completion"],
        batch_size: int | None = None,
        memory_gib: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, Take]]: ...

    def generate_batch(
        self,
        requests: Sequence[TakeRequest],
        *,
        vectors: Mapping[str, SteeringVector] | None = None,
        order: Order = "input",
        batch_size: int | None = None,
        memory_gib: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Take] | Iterator[tuple[int, Take]]:
        """Generate many takes, several per batch; each row is sampled and steered by itself.

        Args:
            requests: may differ in everything.
            vectors: given as objects, by the names that the steers use; others are looked up in
                `self.vectors`.
            order: "input" yields takes in the order of the requests, neighbours sharing a batch;
                "completion" yields (index of the request, take) as takes complete, after sorting
                requests by length so that batches are full.
            batch_size: rows per batch; default: as many as fit.
            memory_gib: memory that a batch may take; default: the free memory for a given batch
                size, half of it otherwise.
            progress: called with frames done and frames in all, over all requests.

        Raises:
            TonearmError: any mistake in the arguments, or a take or given batch that does not
                fit the memory; before decoding starts.
        """
        requests = boundary.sequence(requests, "requests", _request, "a list of TakeRequests")
        given = {} if vectors is None else _vectors(vectors)
        batch_size = boundary.optional(boundary.integer, batch_size, "batch_size")
        memory_gib = boundary.optional(boundary.number, memory_gib, "memory_gib")
        progress = boundary.optional(boundary.function, progress, "progress")
        boundary.text(order, "order")
        prepared, found = self._prepare(requests, given)
        batches = self._pack(prepared, order, batch_size, memory_gib)
        if order == "completion":
            return self._by_completion(batches, prepared, found, progress)
        return self._by_input(batches, prepared, found, progress)

    def reproduce(
        self,
        request: TakeRequest,
        place: BatchRecord,
        vectors: Mapping[str, SteeringVector],
        progress: Progress | None = None,
        rewinds: Sequence[Rewind] = (),
    ) -> Take:
        """Generate a take at its recorded place in a batch of the recorded shape.

        Args:
            request: the take.
            place: recorded with it.
            vectors: the vectors that it names.
            progress: called with frames done and frames in all.
            rewinds: of a stream.

        Raises:
            TonearmError: a batch that does not fit the memory, rewinds of another checkpoint, or any
                mistake in the request.
        """
        _request(request, "request")
        boundary.instance(place, "place", BatchRecord, "a BatchRecord, from a take's provenance")
        vectors = _vectors(vectors)
        progress = boundary.optional(boundary.function, progress, "progress")
        if len(request.sections) != len(place.sections):
            raise TonearmError(
                f"the request has {len(request.sections)} sections and the place "
                f"{len(place.sections)}; give the place that was recorded with the take"
            )
        rewinds = boundary.sequence(rewinds, "rewinds", _rewind, "a list of Rewinds")
        if rewinds and self.engine.uniform_batches:
            raise TonearmError(
                f"engine {self.engine.name} cannot keep codes of a stream that was rewound; use engine "
                f"{DEFAULT_ENGINE}"
            )
        check_rewinds(rewinds, self.shape)
        limits = self._limits()
        limits.check(recorded_shape(request, place, self.shape))
        requests = batch_of(request, place)
        prepared, found = self._prepare(requests, vectors, recorded=True)
        rows = [with_recorded_texts(one, place) for one in prepared]
        rows[place.row] = replace(rows[place.row], rewinds=tuple(rewinds))
        limits.check(reproduced_shape(rows, place, limits))
        report = BatchProgress([[one.frames or 0 for one in rows]], progress)
        decode_request = encode_batch(
            self.checkpoint,
            rows,
            found,
            guided=place.guided,
            text_groups=[place.text_group, *(one.text_group for one in place.sections)],
            frames=None if self.engine.uniform_batches else place.frames,
        )
        complete = self.engine.rows(decode_request, report.next_batch())
        codes, acted = next(
            (one.codes[index], one.acted[index])
            for one in complete
            if place.row in one.members
            for index in [one.members.index(place.row)]
        )
        clip = decode_at(self.checkpoint, codes, place.codec_rows, place.codec_row)
        decoded = place_in_batch(decode_request, rows, place.row, place.codec_rows, place.codec_row)
        return self._builder.build(rows[place.row], found, decoded, codes, clip, acted)

    def decode(self, take: Take) -> Clip:
        """Decode the codes of a take to the audio that it was generated with, bit for bit.

        Args:
            take: of this checkpoint; its trims, where it has any, are left out.
        """
        boundary.instance(take, "take", Take, "a Take")
        place = take.provenance.batch
        codes = torch.from_numpy(take.codes)
        return decode_at(self.checkpoint, codes, place.codec_rows, place.codec_row)

    def divergence(
        self,
        requests: Sequence[TakeRequest],
        takes: Sequence[Take | np.ndarray],
        *,
        vectors: Mapping[str, SteeringVector] | None = None,
    ) -> list[float]:
        """Measure how far steering moves the model's predictions on given plain takes.

        Args:
            requests: with steering; lengths of one window, without audio prompts, equal within the
                list.
            takes: the plain takes of the same prompts, or their codes [K, T].
            vectors: as for `generate_batch`.

        Returns:
            KL(steered || plain) in nats per frame for each request, teacher-forced on the take's
            codes.

        Raises:
            TonearmError: another engine than the decoder, takes of other lengths, a monitored
                steer, or any mistake in the requests.
        """
        if not isinstance(self.engine, DecoderEngine):
            raise TonearmError(
                f"engine {self.engine.name} has no divergence; use engine {DecoderEngine.name}"
            )
        requests = boundary.sequence(requests, "requests", _request, "a list of TakeRequests")
        codes = boundary.sequence(takes, "takes", _codes_of, "a list of Takes or of their codes")
        given = {} if vectors is None else _vectors(vectors)
        steered, found = self._prepare(requests, given)
        return divergence_of(self.engine, steered, codes, found, self._limits())

    def stream(
        self,
        prompt: str,
        *,
        steer: SteeringLike = None,
        combine: Combine | None = None,
        seconds: float | None = 10.0,
        seed: int | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int = DEFAULT_TOP_K,
        top_p: float = 1.0,
        negative: str | None = None,
        continue_from: AudioLike | None = None,
        melody: AudioLike | None = None,
        sections: Sequence[tuple[float, str]] | None = None,
        chunk_seconds: float = 0.1,
        twin: bool = False,
        rewinds: bool = False,
    ) -> Stream:
        """Decode one take while it plays: iterate the Stream for audio, change settings from any
        thread.

        Args:
            steer: every vector whose amount or strength will be set, at 0 if it is to be silent at
                first.
            seconds: of new music; None plays until `Stream.stop`.
            chunk_seconds: length of a chunk.
            twin: decode the same take without steering beside it, in one batch with the same
                noise (`Chunk.plain`, `Stream.plain_take`).
            rewinds: changes act from the first frame of which no audio was made; the frames from it
                on that are decided are decided again. Without it they act from the first frame of
                which nothing is decided, later by the codebook delay. A monitor keeps its stream
                from it.
            Others: as for `generate`.

        Raises:
            TonearmError: any mistake in the arguments, before decoding starts.
        """
        if not isinstance(self.engine, DecoderEngine):
            raise TonearmError(
                f"engine {self.engine.name} cannot stream; use engine {DecoderEngine.name}"
            )
        shape, chunk_seconds = self.shape, boundary.number(chunk_seconds, "chunk_seconds")
        is_possible = 0 < chunk_seconds <= MAX_CHUNK_SECONDS
        chunk_frames = round(chunk_seconds * shape.frame_rate) if is_possible else 0
        if chunk_frames < 1:
            raise TonearmError(
                f"chunks of {chunk_seconds:g} s are not possible; "
                f"use {1 / shape.frame_rate:g} to {MAX_CHUNK_SECONDS} s"
            )
        steering, given = as_steering(steer, combine)
        request = TakeRequest(
            prompt=_checked_prompt(prompt),
            seed=secrets.randbelow(2**31) if seed is None else seed,
            steering=steering,
            sampling=self.sampling(guidance, temperature, top_k, top_p),
            negative=negative,
            seconds=10.0 if seconds is None else seconds,
            continue_from=continue_from,
            melody=melody,
            sections=boundary.optional(prompt_sections, sections, "sections") or (),
        )
        (prepared,), vectors = self._prepare(
            [request], given, live=True, open_ended=seconds is None
        )
        rows = [prepared]
        if boundary.flag(twin, "twin"):
            rows.append(unsteered(prepared))
        limits = self._limits()
        limits.check(batch_shape(rows, limits, live=True))
        return open_stream(
            self.engine,
            rows,
            vectors,
            self._builder,
            chunk_frames,
            boundary.flag(rewinds, "rewinds"),
        )

    def _prepare(
        self,
        requests: Sequence[TakeRequest],
        given: Mapping[str, SteeringVector],
        live: bool = False,
        open_ended: bool = False,
        recorded: bool = False,
    ) -> tuple[list[PreparedRequest], dict[str, SteeringVector]]:
        """The requests, prepared, and the vectors that they name."""
        check_settings(requests, self.checkpoint.sampling, self.shape, recorded=recorded)
        names = {
            steer.vector
            for steering in dict.fromkeys(one.steering for one in requests)
            for steer in steering.steers
        }
        vectors = {
            name: given[name] if name in given else self.vectors[name] for name in sorted(names)
        }
        prepared = prepare(
            self.checkpoint,
            requests,
            vectors,
            live=live,
            open_ended=open_ended,
            recorded=recorded,
        )
        if self.engine.uniform_batches and any(one.sections for one in prepared):
            raise TonearmError(
                f"engine {self.engine.name} has no sections of other prompts; use engine "
                f"{DEFAULT_ENGINE}, or omit them"
            )
        longest = max(one.frames or 0 for one in prepared)
        if self.engine.uniform_batches and longest > self.shape.window_frames:
            raise TonearmError(
                f"{longest / self.shape.frame_rate:g} s is beyond {self.shape.name}'s window of "
                f"{self.shape.window_seconds:g} s, which engine {self.engine.name} cannot exceed; "
                f"use engine {DEFAULT_ENGINE}, or ask for less"
            )
        return prepared, vectors

    def _pack(
        self,
        prepared: Sequence[PreparedRequest],
        order: Order,
        batch_size: int | None,
        memory_gib: float | None,
    ) -> list[list[int]]:
        return pack(prepared, order, batch_size, self._limits(memory_gib))

    def _limits(self, memory_gib: float | None = None) -> Limits:
        window, checkpoint = self.shape.window_frames, self.checkpoint

        def budget(shape: BatchShape, share: float) -> float:
            """Bytes for a batch; if more are needed, memory kept for later batches is freed."""
            found = memory_budget(checkpoint, memory_gib, share)
            is_short = memory_gib is None and decoding_bytes(checkpoint, shape) > found
            if is_short and self.engine.release():
                return memory_budget(checkpoint, share=share)
            return found

        return Limits(
            window=window,
            overlap=overlap_frames(window),
            uniform=self.engine.uniform_batches,
            rows=batch_rows_limit(checkpoint.device) or MAX_ROWS,
            fit=lambda shape: rows_that_fit(checkpoint, shape, budget(shape, FREE_SHARE)),
            check=lambda shape: check_memory(checkpoint, shape, budget(shape, 1)),
        )

    def _by_input(
        self,
        batches: Sequence[Sequence[int]],
        prepared: Sequence[PreparedRequest],
        vectors: Mapping[str, SteeringVector],
        progress: Progress | None,
    ) -> Iterator[Take]:
        for _, decode in self._decode(batches, prepared, vectors, progress):
            takes, following = dict[int, Take](), 0
            for row, take in decode():
                takes[row] = take
                while following in takes:
                    yield takes.pop(following)
                    following += 1

    def _by_completion(
        self,
        batches: Sequence[Sequence[int]],
        prepared: Sequence[PreparedRequest],
        vectors: Mapping[str, SteeringVector],
        progress: Progress | None,
    ) -> Iterator[tuple[int, Take]]:
        for batch, decode in self._decode(batches, prepared, vectors, progress):
            for row, take in decode():
                yield batch[row], take

    def _decode(
        self,
        batches: Sequence[Sequence[int]],
        prepared: Sequence[PreparedRequest],
        vectors: Mapping[str, SteeringVector],
        progress: Progress | None,
    ) -> Iterator[tuple[Sequence[int], Callable[[], Iterator[tuple[int, Take]]]]]:
        """Each batch, with a function that decodes it and yields (row, take) as rows complete."""
        frames = [[prepared[index].frames or 0 for index in batch] for batch in batches]
        report = BatchProgress(frames, progress)
        for batch in batches:
            rows = [prepared[index] for index in batch]

            def decode(rows: list[PreparedRequest] = rows) -> Iterator[tuple[int, Take]]:
                request = encode_batch(self.checkpoint, rows, vectors)
                for done in self.engine.rows(request, report.next_batch()):
                    audio = decode_rows(self.checkpoint, done.codes)
                    for row, codes, acted, decoded in zip(
                        done.members, done.codes, done.acted, audio, strict=True
                    ):
                        place = place_in_batch(
                            request, rows, row, decoded.codec_rows, decoded.codec_row
                        )
                        take = self._builder.build(
                            rows[row], vectors, place, codes, decoded.clip, acted
                        )
                        yield row, take

            yield batch, decode

    @property
    def _builder(self) -> TakeBuilder:
        return TakeBuilder(self.checkpoint, self.engine.name, self.vectors)


def _rewind(value: object, name: str) -> Rewind:
    return boundary.instance(value, name, Rewind, "a Rewind, from a take's provenance")


def _checked_prompt(prompt: object) -> str:
    allowed = "one text here, and several as TakeRequests to generate_batch"
    return boundary.instance(prompt, "prompt", str, allowed)


def _request(value: object, name: str) -> TakeRequest:
    return boundary.instance(value, name, TakeRequest, "a TakeRequest")


def _codes_of(value: object, name: str) -> np.ndarray:
    """Codes int64 [K, T] of a take, or as given."""
    if isinstance(value, Take):
        return value.codes
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind not in "iu":
        raise boundary.refusal(value, name, "a Take, or its codes: whole numbers [K, T]")
    return value.astype(np.int64)


def _vectors(value: object) -> Mapping[str, SteeringVector]:
    if not isinstance(value, Mapping):
        raise boundary.refusal(value, "vectors", "a mapping of names to SteeringVectors")
    for name, vector in value.items():
        boundary.instance(vector, f"vector {name}", SteeringVector, "a SteeringVector")
    return value


def load(
    name: str | os.PathLike[str] = POCKET,
    *,
    device: str | None = None,
    dtype: str | None = None,
    engine: str = DEFAULT_ENGINE,
) -> Model:
    """Load pocket, a hub id such as "facebook/musicgen-melody", or a local folder.

    Args:
        name: checkpoint; see `tonearm.musicgen.checkpoint.load_checkpoint`.
        device: "cpu", "cuda", "cuda:1", "mps"; default: the best available.
        dtype: "float32", "bfloat16", "float16" or "int8"; default: by the device.
        engine: "decoder", Tonearm's own, or "reference", transformers' generate().

    Raises:
        TonearmError: no such checkpoint, or an engine, device or dtype that is not available.
    """
    check_engine(engine)  # before gigabytes are read
    checkpoint = load_checkpoint(
        boundary.path(name, "checkpoint"),
        boundary.optional(boundary.text, device, "device"),
        boundary.optional(boundary.text, dtype, "dtype"),
    )
    return Model(checkpoint, engine, consume=engine == DecoderEngine.name)
