"""Model: a checkpoint with its shelf of vectors; the one entry to generation."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import torch

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.provenance import (
    BatchRecord,
    CheckpointRecord,
    Provenance,
    SamplingRecord,
    StackRecord,
    VectorRecord,
    sha256_of,
)
from tonearm.generation.request import MAX_SEED, AudioLike, PreparedRequest, TakeRequest, check, prepare
from tonearm.generation.stream import Stream
from tonearm.generation.take import Take, hash_codes
from tonearm.musicgen.checkpoint import POCKET, Checkpoint, folder_of, load_checkpoint
from tonearm.musicgen.conditioning import Conditioning, condition, count_tokens, decode_codes
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import DEFAULT_ENGINE, DecoderEngine, check_engine, engine_for
from tonearm.musicgen.memory_estimate import BatchShape, rows_that_fit
from tonearm.musicgen.sampling import Sampling
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.steering.library import VectorLibrary
from tonearm.steering.resolve import compile_plan
from tonearm.steering.spec import Steering, SteeringLike, as_steering
from tonearm.steering.vector import SteeringVector

OVERLAP_SHARE = 0.4  # of the window, that a later window begins with; audiocraft's 12 s of 30
OnProgress = Callable[[int, int], None]  # frames done, frames in all, over all rows


class Model:
    """A loaded checkpoint. `vectors` is its shelf: `model.vectors["tempo"]`.

    Without `keep_weights`, engine decoder takes the checkpoint's weights over at its first take, and another engine has to load them again.
    """

    def __init__(self, checkpoint: Checkpoint, engine: str = DEFAULT_ENGINE, keep_weights: bool = True):
        self.checkpoint, self.keep_weights = checkpoint, keep_weights
        self.engine = engine_for(checkpoint, engine, keep_weights)
        self.vectors = VectorLibrary(checkpoint)

    def __repr__(self) -> str:
        c = self.checkpoint
        return f"<tonearm.Model {c.name}: {c.layer_count} layers of {c.width}, {c.device}, {c.precision}>"

    def with_engine(self, name: str) -> "Model":
        """This model, its shelf shared, over the engine of that name ("decoder" or "reference")."""
        if name == self.engine.name:
            return self
        checkpoint = self.checkpoint
        if not self.keep_weights:
            checkpoint = load_checkpoint(checkpoint.name, str(checkpoint.device), checkpoint.precision)
        twin = Model(checkpoint, name, self.keep_weights)
        twin.vectors = self.vectors
        return twin

    def sampling(
        self,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> Sampling:
        """How a row is drawn that asks for this: the rest is the checkpoint's own."""
        return self.checkpoint.sampling.overridden(guidance, temperature, top_k, top_p)

    def generate(
        self,
        prompt: str | Sequence[str],
        *,
        steer: SteeringLike = None,
        seconds: float = 10.0,
        seed: int | None = None,
        n: int = 1,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int = 250,
        top_p: float = 1.0,
        negative: str | None = None,
        continue_from: AudioLike | None = None,
        melody: AudioLike | None = None,
        batch_size: int = 8,
        on_progress: OnProgress | None = None,
    ) -> Take | list[Take]:
        """Generate `n` takes of each prompt; one Take for one prompt and n = 1, else a list in order.

        steer: `{"tempo": 1.25}`, `"tempo=1.25"`, a Steering, or a list of Steers; vectors are looked up on `self.vectors`.
        seconds: of new music; an audio prompt (`continue_from`) stands before it and is part of the take. What is longer than the
            checkpoint's window is made window by window, each of which hears the end of the one before.
        seed: row i draws with seed + i; left out, a random one, which the take's provenance holds.
        guidance: classifier-free guidance, 1 or less switches it off. temperature 0 takes the likeliest code. Left out, both are the checkpoint's own.
        negative: words to steer away from, in the place of guidance's empty prompt.
        Raises TonearmError for every mistake of the caller.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if not isinstance(n, int) or n < 1:
            raise TonearmError(f"{n} takes are not possible; ask for 1 or more")
        if seed is not None and not isinstance(seed, int):
            raise TonearmError(f"seed {seed!r} is not possible; use a whole number from 0 to {MAX_SEED}")
        steering, given = as_steering(steer)
        first_seed = secrets.randbelow(2**31) if seed is None else seed
        sampling = self.sampling(guidance, temperature, top_k, top_p)
        texts = [text for text in prompts for _ in range(n)]
        rows = [
            TakeRequest(text, first_seed + i, steering, sampling, negative, seconds, continue_from, melody)
            for i, text in enumerate(texts)
        ]
        takes = list(self.takes(rows, vectors=given, batch_size=batch_size, on_progress=on_progress))
        return takes[0] if isinstance(prompt, str) and n == 1 else takes

    def takes(
        self,
        rows: Sequence[TakeRequest],
        *,
        vectors: Mapping[str, SteeringVector] | None = None,
        batch_size: int = 8,
        on_progress: OnProgress | None = None,
        text_tokens: int | None = None,
    ) -> Iterator[Take]:
        """Yield one take per row, in order, batch by batch. Everything is checked before the first frame is made."""
        if batch_size < 1:
            raise TonearmError(f"batch size {batch_size} is not possible; use 1 or more")
        prepared, vectors = self._prepare(rows, vectors or {})
        if text_tokens:
            prepared = [replace(one, text_tokens=text_tokens) for one in prepared]
        batches: list[list[PreparedRequest]] = []
        for _, group in groupby(prepared, key=self._company):
            members = list(group)
            batches += [members[first : first + batch_size] for first in range(0, len(members), batch_size)]
        return self._in_order(batches, vectors, on_progress)

    def generate_many(
        self,
        rows: Sequence[TakeRequest],
        *,
        vectors: Mapping[str, SteeringVector] | None = None,
        memory: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Iterator[tuple[int, Take]]:
        """Yield (index of the row, its take) as takes finish: many rows of any lengths, packed into waves that fit the memory.

        memory: GiB that decoding may take; left out, half of what is free. A wave holds rows of like length, the longest first, and a row that
        is done does not wait for its wave. Everything is checked before the first frame is made. Raises TonearmError where not even one
        row fits.
        """
        prepared, vectors = self._prepare(rows, vectors or {})
        order = sorted(range(len(rows)), key=lambda i: (self._company(prepared[i]), -prepared[i].frames, i))
        waves: list[list[int]] = []
        for _, group in groupby(order, key=lambda i: self._company(prepared[i])):
            members = list(group)
            while members:
                fit = rows_that_fit(self.checkpoint, self._wave([prepared[i] for i in members]), memory)
                waves.append(members[:fit])
                members = members[fit:]
        return self._as_they_finish(waves, prepared, vectors, on_progress)

    def stream(
        self,
        prompt: str,
        *,
        steer: SteeringLike = None,
        seconds: float = 10.0,
        seed: int | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int = 250,
        top_p: float = 1.0,
        negative: str | None = None,
        continue_from: AudioLike | None = None,
        melody: AudioLike | None = None,
        chunk_seconds: float = 0.1,
    ) -> Stream:
        """Decode one take while it plays: iterate the Stream for its audio, turn its strengths from another thread.

        Arguments as for `generate`; `chunk_seconds` is the music a chunk holds. A vector that is to be turned must be named in `steer`, at
        strength 0 if it is to be silent at first. Raises TonearmError for every mistake of the caller, before the first frame is made.
        """
        if not isinstance(self.engine, DecoderEngine):
            raise TonearmError(f"engine {self.engine.name} cannot stream; use engine {DecoderEngine.name}")
        checkpoint = self.checkpoint
        chunk_frames = round(chunk_seconds * checkpoint.frame_rate) if 0 < chunk_seconds <= 10 else 0
        if chunk_frames < 1:
            raise TonearmError(
                f"chunks of {chunk_seconds:g} s are not possible; use {1 / checkpoint.frame_rate:g} to 10 s"
            )
        steering, given = as_steering(steer)
        first_seed = secrets.randbelow(2**31) if seed is None else seed
        sampling = self.sampling(guidance, temperature, top_k, top_p)
        row = TakeRequest(prompt, first_seed, steering, sampling, negative, seconds, continue_from, melody)
        (prepared,), vectors = self._prepare([row], given)
        request = self._request([prepared], vectors, live=True)

        def finish(steering: Steering, sampling: Sampling, codes: torch.Tensor) -> Take:
            played = replace(prepared, steering=steering, sampling=sampling)
            return self._take(played, vectors, self._place(request, [prepared], 0), codes)

        decoding = Decoding(self.engine.decoder, request)
        return Stream(decoding, StreamingCodec(checkpoint), prepared.steering, sampling, chunk_frames, finish)

    @property
    def _window(self) -> int:
        """Frames decoded at a time."""
        return self.checkpoint.max_frames

    @property
    def _overlap(self) -> int:
        return round(OVERLAP_SHARE * self._window)

    def _wave(self, rows: Sequence[PreparedRequest]) -> BatchShape:
        longest = max(row.frames for row in rows)
        return BatchShape(
            rows=len(rows), guided=any(row.sampling.strongest_guidance > 1 for row in rows), frames=longest, window=self._window,
            known_frames=max(rows[0].prompt_frames, self._overlap if longest > self._window else 0),
            text_tokens=rows[0].text_tokens or max(count_tokens(self.checkpoint, row.row.prompt, row.row.negative) for row in rows),
            vectors=max(len(row.steering.steers) for row in rows),
        )  # fmt: skip

    def _prepare(
        self, rows: Sequence[TakeRequest], given: Mapping[str, SteeringVector]
    ) -> tuple[list[PreparedRequest], dict[str, SteeringVector]]:
        """The rows, checked, and the vectors that they name."""
        check(self.checkpoint, rows)
        names = {steer.vector for row in rows for steer in row.steering.steers}
        vectors = {name: given[name] if name in given else self.vectors[name] for name in sorted(names)}
        prepared = prepare(self.checkpoint, rows, vectors)
        longest = max(one.frames for one in prepared)
        if self.engine.plain and longest > self._window:
            raise TonearmError(
                f"{longest / self.checkpoint.frame_rate:g} s is beyond {self.checkpoint.name}'s window of {self.checkpoint.window_seconds:g} s, which "
                f"engine {self.engine.name} cannot leave; use engine {DEFAULT_ENGINE}, or ask for less"
            )
        return prepared, vectors

    def _company(self, row: PreparedRequest) -> tuple:
        return (*row.company, row.frames) if self.engine.plain else row.company

    def _in_order(
        self,
        batches: Sequence[Sequence[PreparedRequest]],
        vectors: Mapping[str, SteeringVector],
        on_progress: OnProgress | None,
    ) -> Iterator[Take]:
        progress = _Progress([[row.frames for row in batch] for batch in batches], on_progress)
        for batch in batches:
            request = self._request(batch, vectors)
            codes = dict(self.engine.rows(request, progress.next_wave()))
            for index, row in enumerate(batch):
                yield self._take(row, vectors, self._place(request, batch, index), codes[index])

    def _as_they_finish(
        self,
        waves: Sequence[Sequence[int]],
        prepared: Sequence[PreparedRequest],
        vectors: Mapping[str, SteeringVector],
        on_progress: OnProgress | None,
    ) -> Iterator[tuple[int, Take]]:
        progress = _Progress([[prepared[i].frames for i in wave] for wave in waves], on_progress)
        for wave in waves:
            batch = [prepared[i] for i in wave]
            request = self._request(batch, vectors)
            for index, codes in self.engine.rows(request, progress.next_wave()):
                yield wave[index], self._take(batch[index], vectors, self._place(request, batch, index), codes)

    def _request(
        self, batch: Sequence[PreparedRequest], vectors: Mapping[str, SteeringVector], live: bool = False
    ) -> DecodeRequest:
        checkpoint, rows, first = self.checkpoint, [one.row for one in batch], batch[0]
        frames = max(one.frames for one in batch)
        negatives = [row.negative for row in rows] if any(row.negative for row in rows) else None

        def conditioning(melody: Clip | None) -> Conditioning:
            return condition(
                checkpoint, [row.prompt for row in rows], guided=any(one.sampling.strongest_guidance > 1 for one in batch),
                negatives=negatives, melody=melody, text_tokens=first.text_tokens or None,
            )  # fmt: skip

        melody = first.melody.clip if first.melody else None
        request = DecodeRequest(
            conditioning(melody), frames, [one.sampling for one in batch], [row.seed for row in rows],
            compile_plan(checkpoint, [one.steering for one in batch], vectors, frames, live=live),
            None if first.prompt_codes is None else torch.stack([one.prompt_codes for one in batch if one.prompt_codes is not None]),
            lengths=[one.frames for one in batch], window=self._window, overlap=self._overlap,
        )  # fmt: skip
        if live or any(one.sampling.guidance_schedule for one in batch):
            seconds = [frame / checkpoint.frame_rate for frame in range(frames)]
            request = replace(request, guidance=torch.stack([one.sampling.guidance_at(seconds) for one in batch]))
        if melody is not None and len(request.windows) > 1:  # a later window hears the melody from its own beginning on
            begins = [window.start / checkpoint.frame_rate for window in request.windows[1:]]
            request = replace(request, later=[conditioning(melody.rolled(begin)) for begin in begins])
        return request

    @staticmethod
    def _place(request: DecodeRequest, batch: Sequence[PreparedRequest], row: int) -> BatchRecord:
        conditioning = request.conditioning
        return BatchRecord(
            size=conditioning.rows, row=row, text_tokens=conditioning.text_ids.shape[1], guided=conditioning.guided,
            negatives=any(one.row.negative for one in batch),
        )  # fmt: skip

    def _take(
        self,
        prepared: PreparedRequest,
        vectors: Mapping[str, SteeringVector],
        place: BatchRecord,
        codes: torch.Tensor,
    ) -> Take:
        checkpoint, row, steering = self.checkpoint, prepared.row, prepared.steering
        clip = decode_codes(checkpoint, codes)
        used = {steer.vector: vectors[steer.vector] for steer in steering.steers}
        provenance = Provenance(
            prompt=row.prompt, negative=row.negative, seed=row.seed, steering=steering, batch=place, engine=self.engine.name,
            seconds=round((prepared.frames - prepared.prompt_frames) / checkpoint.frame_rate, 6), frames=prepared.frames,
            sampling=SamplingRecord.of(prepared.sampling),
            vectors={name: self._vector_record(name, vector) for name, vector in sorted(used.items())},
            checkpoint=CheckpointRecord(
                name=folder_of(checkpoint.name), fingerprint=checkpoint.fingerprint, licence=checkpoint.licence
            ),
            audio_prompt=prepared.audio_prompt.record() if prepared.audio_prompt else None,
            melody=prepared.melody.record() if prepared.melody else None,
            stack=StackRecord.here(checkpoint.device, checkpoint.precision),
            codes_sha256=hash_codes(codes.numpy()), audio_sha256=sha256_of(clip),
        )  # fmt: skip
        return Take(clip, codes.numpy(), provenance, used, prepared.inputs)

    def _vector_record(self, name: str, vector: SteeringVector) -> VectorRecord:
        ships = self.vectors.is_bundled(name) and vector is self.vectors[name]
        return VectorRecord(content_hash=vector.content_hash(), bundled=ships)


class _Progress:
    """Frames done over all rows of all waves."""

    def __init__(self, waves: Sequence[Sequence[int]], on_progress: OnProgress | None):
        self.waves, self.on_progress = iter(waves), on_progress
        self.before, self.total = 0, sum(map(sum, waves))

    def next_wave(self) -> Callable[[int, int], None] | None:
        lengths, before, tell = next(self.waves), self.before, self.on_progress
        self.before += sum(lengths)
        if tell is None:
            return None
        return lambda done, _: tell(before + sum(min(done, length) for length in lengths), self.total)


def load(
    name: str = POCKET, *, device: str | None = None, dtype: str | None = None, engine: str = DEFAULT_ENGINE
) -> Model:
    """Load pocket, a hub id such as "facebook/musicgen-melody", or a local folder. See `musicgen.checkpoint.load_checkpoint`.

    engine: "decoder", Tonearm's own, or "reference", transformers' generate().
    """
    check_engine(engine)  # before gigabytes are read
    return Model(load_checkpoint(name, device, dtype), engine, keep_weights=False)
