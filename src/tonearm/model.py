"""Model: a checkpoint with its shelf of vectors; the one entry to generation."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import torch

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import POCKET, Checkpoint, folder_of, load_checkpoint
from tonearm.musicgen.conditioning import (
    Conditioning,
    check_melody,
    condition,
    decode_codes,
    encode_audio,
    text_room,
)
from tonearm.musicgen.decoding import Decoding
from tonearm.musicgen.engine import DEFAULT_ENGINE, DecoderEngine, check_engine, engine_for
from tonearm.musicgen.plan import compile_plan
from tonearm.musicgen.request import Request
from tonearm.musicgen.sampling import Sampling
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.provenance import (
    AudioRecord,
    BatchRecord,
    CheckpointRecord,
    Provenance,
    SamplingRecord,
    StackRecord,
    VectorRecord,
    sha256_of,
)
from tonearm.shelf import VectorShelf
from tonearm.steering.spec import Steering, SteeringLike, as_steering
from tonearm.steering.vector import SteeringVector
from tonearm.streaming import Stream
from tonearm.take import Take, hash_codes

MAX_SEED = 2**63 - 1
AudioLike = Clip | str | os.PathLike[str]
OnProgress = Callable[[int, int], None]  # frames done, frames in all, over all rows


@dataclass(frozen=True)
class Row:
    """One take to be made: rows of one batch may differ in all of it."""

    prompt: str
    seed: int
    steering: Steering = field(default_factory=Steering)
    sampling: Sampling = field(default_factory=Sampling)
    negative: str | None = None


@dataclass(frozen=True)
class _Input:
    """An audio prompt or melody, with the file it came from."""

    clip: Clip
    file: str | None

    @classmethod
    def read(cls, audio: AudioLike | None) -> "_Input | None":
        if audio is None:
            return None
        if isinstance(audio, Clip):
            return cls(audio, None)
        return cls(Clip.read(audio), str(Path(audio).absolute()))

    def record(self) -> AudioRecord:
        return AudioRecord(sha256=sha256_of(self.clip), seconds=self.clip.seconds, file=self.file)


@dataclass(frozen=True)
class _Job:
    """What all rows of one call share; `frames` counts the audio prompt's too."""

    frames: int
    vectors: Mapping[str, SteeringVector]
    prompt_codes: torch.Tensor | None  # [K, T0]
    audio_prompt: _Input | None
    melody: _Input | None

    @property
    def prompt_frames(self) -> int:
        return 0 if self.prompt_codes is None else self.prompt_codes.shape[1]

    @property
    def inputs(self) -> dict[str, Clip]:
        given = {"audio_prompt": self.audio_prompt, "melody": self.melody}
        return {key: value.clip for key, value in given.items() if value}


class Model:
    """A loaded checkpoint. `vectors` is its shelf: `model.vectors["tempo"]`."""

    def __init__(self, checkpoint: Checkpoint, engine: str = DEFAULT_ENGINE):
        self.checkpoint = checkpoint
        self.engine = engine_for(checkpoint, engine)
        self.vectors = VectorShelf(checkpoint)

    def __repr__(self) -> str:
        c = self.checkpoint
        return f"<tonearm.Model {c.name}: {c.layer_count} layers of {c.width}, {c.device}, {c.precision}>"

    def with_engine(self, name: str) -> "Model":
        """This model, its shelf shared, over the engine of that name ("decoder" or "reference")."""
        if name == self.engine.name:
            return self
        twin = Model(self.checkpoint, name)
        twin.vectors = self.vectors
        return twin

    def generate(
        self,
        prompt: str | Sequence[str],
        *,
        steer: SteeringLike = None,
        seconds: float = 10.0,
        seed: int | None = None,
        n: int = 1,
        guidance: float = 3.0,
        temperature: float = 1.0,
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
        seconds: of new music; an audio prompt (`continue_from`) stands before it and is part of the take.
        seed: row i draws with seed + i; left out, a random one, which the take's provenance holds.
        guidance: classifier-free guidance, 1 or less switches it off. temperature 0 takes the likeliest code.
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
        sampling = Sampling(guidance, temperature, top_k, top_p)
        texts = [text for text in prompts for _ in range(n)]
        rows = [Row(text, first_seed + i, steering, sampling, negative) for i, text in enumerate(texts)]
        takes = list(
            self.takes(
                rows, seconds=seconds, continue_from=continue_from, melody=melody, vectors=given,
                batch_size=batch_size, on_progress=on_progress,
            )
        )  # fmt: skip
        return takes[0] if isinstance(prompt, str) and n == 1 else takes

    def takes(
        self,
        rows: Sequence[Row],
        *,
        seconds: float = 10.0,
        continue_from: AudioLike | None = None,
        melody: AudioLike | None = None,
        vectors: Mapping[str, SteeringVector] | None = None,
        batch_size: int = 8,
        on_progress: OnProgress | None = None,
        text_tokens: int | None = None,
    ) -> Iterator[Take]:
        """Yield one take per row, in order, batch by batch. Everything is checked before the first frame is made."""
        if batch_size < 1:
            raise TonearmError(f"batch size {batch_size} is not possible; use 1 or more")
        job, resolved = self._prepare(rows, seconds, continue_from, melody, vectors or {})
        compile_plan(self.checkpoint, resolved, job.vectors, job.frames)  # finds mistakes before any work is done
        batches = self._batches(rows, resolved, batch_size, text_tokens)  # finds texts that do not fit
        return self._takes(batches, job, on_progress, text_tokens)

    def stream(
        self,
        prompt: str,
        *,
        steer: SteeringLike = None,
        seconds: float = 10.0,
        seed: int | None = None,
        guidance: float = 3.0,
        temperature: float = 1.0,
        top_k: int = 250,
        top_p: float = 1.0,
        negative: str | None = None,
        continue_from: AudioLike | None = None,
        melody: AudioLike | None = None,
        chunk_seconds: float = 0.2,
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
        row = Row(prompt, first_seed, steering, Sampling(guidance, temperature, top_k, top_p), negative)
        job, (resolved,) = self._prepare([row], seconds, continue_from, melody, given)
        text_room(checkpoint, prompt, negative)
        conditioning, request = self._request([(row, resolved)], job, None, live=True)

        def finish(played: Steering, decoding: Decoding) -> Take:
            place = self._place(conditioning, 0, negative is not None)
            return self._take(row, played, job, place, decoding.codes[0].cpu())

        decoding = Decoding(self.engine.decoder, request)
        return Stream(decoding, StreamingCodec(checkpoint), resolved, chunk_frames, finish)

    def _prepare(
        self,
        rows: Sequence[Row],
        seconds: float,
        continue_from: AudioLike | None,
        melody: AudioLike | None,
        vectors: Mapping[str, SteeringVector],
    ) -> tuple[_Job, list[Steering]]:
        """What the rows share, and each row's steering with its source layers; everything is checked but texts and plan."""
        checkpoint = self.checkpoint
        if not rows:
            raise TonearmError("no prompt was given; give at least one")
        for row in rows:
            _check_row(row)
        audio_prompt = _Input.read(continue_from)
        prompt_codes = encode_audio(checkpoint, audio_prompt.clip) if audio_prompt else None
        frames = self._frames(seconds, 0 if prompt_codes is None else prompt_codes.shape[1])
        job = _Job(frames, self._vectors_of(rows, vectors), prompt_codes, audio_prompt, _Input.read(melody))
        if job.melody:
            check_melody(checkpoint, job.melody.clip)
        return job, [_with_source_layers(row.steering, job.vectors) for row in rows]

    def _takes(
        self,
        batches: Sequence[Sequence[tuple[Row, Steering]]],
        job: _Job,
        on_progress: OnProgress | None,
        text_tokens: int | None,
    ) -> Iterator[Take]:
        done_rows, all_rows = 0, sum(map(len, batches))
        for batch in batches:
            conditioning, request = self._request(batch, job, text_tokens)

            def on_frame(done: int, _: int, before: int = done_rows, size: int = len(batch)) -> None:
                if on_progress:
                    on_progress(before * job.frames + done * size, all_rows * job.frames)

            codes = self.engine.decode(request, on_frame)
            negatives = any(row.negative for row, _ in batch)
            for index, (row, steering) in enumerate(batch):
                yield self._take(row, steering, job, self._place(conditioning, index, negatives), codes[index])
            done_rows += len(batch)

    def _request(
        self, batch: Sequence[tuple[Row, Steering]], job: _Job, text_tokens: int | None, live: bool = False
    ) -> tuple[Conditioning, Request]:
        checkpoint, rows = self.checkpoint, [row for row, _ in batch]
        conditioning = condition(
            checkpoint, [row.prompt for row in rows], guided=any(row.sampling.guidance > 1 for row in rows),
            negatives=[row.negative for row in rows] if any(row.negative for row in rows) else None,
            melody=job.melody.clip if job.melody else None, text_tokens=text_tokens,
        )  # fmt: skip
        plan = compile_plan(checkpoint, [steering for _, steering in batch], job.vectors, job.frames, live=live)
        prompt_codes = None if job.prompt_codes is None else job.prompt_codes[None].expand(len(batch), -1, -1)
        sampling, seeds = [row.sampling for row in rows], [row.seed for row in rows]
        return conditioning, Request(conditioning, job.frames, sampling, seeds, plan, prompt_codes)

    @staticmethod
    def _place(conditioning: Conditioning, row: int, negatives: bool) -> BatchRecord:
        return BatchRecord(
            size=conditioning.rows, row=row, text_tokens=conditioning.text_ids.shape[1], guided=conditioning.guided,
            negatives=negatives,
        )  # fmt: skip

    def _batches(
        self, rows: Sequence[Row], steerings: Sequence[Steering], batch_size: int, text_tokens: int | None
    ) -> list[list[tuple[Row, Steering]]]:
        """Neighbouring rows, at most batch_size of them, whose text takes the same room.

        Prefix checkpoints read the padding of a text, so a row must not be padded to the length of a neighbour's.
        """
        needed = [text_room(self.checkpoint, row.prompt, row.negative) for row in rows]
        room = [text_tokens or tokens for tokens in needed]
        batches: list[list[tuple[Row, Steering]]] = []
        for _, group in groupby(range(len(rows)), key=room.__getitem__):
            members = [(rows[i], steerings[i]) for i in group]
            batches += [members[first : first + batch_size] for first in range(0, len(members), batch_size)]
        return batches

    def _take(self, row: Row, steering: Steering, job: _Job, place: BatchRecord, codes: torch.Tensor) -> Take:
        checkpoint, sampling = self.checkpoint, row.sampling
        clip = decode_codes(checkpoint, codes)
        vectors = {steer.vector: job.vectors[steer.vector] for steer in steering.steers}
        provenance = Provenance(
            prompt=row.prompt, negative=row.negative, seed=row.seed, steering=steering, batch=place, engine=self.engine.name,
            seconds=round((job.frames - job.prompt_frames) / checkpoint.frame_rate, 6), frames=job.frames,
            sampling=SamplingRecord(
                guidance=sampling.guidance, temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p
            ),
            vectors={name: self._vector_record(name, vector) for name, vector in sorted(vectors.items())},
            checkpoint=CheckpointRecord(
                name=folder_of(checkpoint.name), fingerprint=checkpoint.fingerprint, licence=checkpoint.licence
            ),
            audio_prompt=job.audio_prompt.record() if job.audio_prompt else None,
            melody=job.melody.record() if job.melody else None,
            stack=StackRecord.here(checkpoint.device, checkpoint.precision),
            codes_sha256=hash_codes(codes.numpy()), audio_sha256=sha256_of(clip),
        )  # fmt: skip
        return Take(clip, codes.numpy(), provenance, vectors, job.inputs)

    def _vector_record(self, name: str, vector: SteeringVector) -> VectorRecord:
        ships = self.vectors.is_bundled(name) and vector is self.vectors[name]
        return VectorRecord(content_hash=vector.content_hash(), bundled=ships)

    def _vectors_of(self, rows: Sequence[Row], given: Mapping[str, SteeringVector]) -> dict[str, SteeringVector]:
        names = {steer.vector for row in rows for steer in row.steering.steers}
        return {name: given[name] if name in given else self.vectors[name] for name in sorted(names)}

    def _frames(self, seconds: float, prompt_frames: int) -> int:
        checkpoint = self.checkpoint
        rate, window = checkpoint.frame_rate, checkpoint.window_seconds
        new = round(seconds * rate) if seconds == seconds and abs(seconds) < 1e6 else 0
        least = max(1, checkpoint.codebooks // checkpoint.channels - 1)
        if new < least:
            raise TonearmError(f"{seconds:g} s is not possible; ask for {least / rate:g} to {window:g} s")
        if prompt_frames + new > checkpoint.max_frames:
            before = f" after an audio prompt of {prompt_frames / rate:.2f} s" if prompt_frames else ""
            left = max(0.0, window - prompt_frames / rate)
            raise TonearmError(
                f"{seconds:g} s{before} is beyond {checkpoint.name}'s window of {window:g} s; ask for at most {left:g} s"
            )
        return prompt_frames + new


def load(
    name: str = POCKET, *, device: str | None = None, dtype: str | None = None, engine: str = DEFAULT_ENGINE
) -> Model:
    """Load pocket, a hub id such as "facebook/musicgen-melody", or a local folder. See `musicgen.checkpoint.load_checkpoint`.

    engine: "decoder", Tonearm's own, or "reference", transformers' generate().
    """
    check_engine(engine)  # before gigabytes are read
    return Model(load_checkpoint(name, device, dtype), engine)


def _check_row(row: Row) -> None:
    sampling = row.sampling
    if not row.prompt.strip():
        raise TonearmError("the prompt is empty; describe the music in a few words")
    if not 0 <= row.seed <= MAX_SEED:
        raise TonearmError(f"seed {row.seed} is not possible; use 0 to {MAX_SEED}")
    if not 0 <= sampling.guidance <= 100:
        raise TonearmError(
            f"guidance {sampling.guidance:g} is not possible; use 0 to 100 (3 is usual, 1 or less switches it off)"
        )
    if not 0 <= sampling.temperature <= 10:
        raise TonearmError(
            f"temperature {sampling.temperature:g} is not possible; use 0 to 10 (1 is usual, 0 takes the likeliest code)"
        )
    if sampling.guidance <= 1 and row.negative:
        raise TonearmError(
            f"a negative prompt acts through guidance, which is off at {sampling.guidance:g}; use guidance above 1"
        )
    if sampling.guidance <= 1 and any(steer.branch == "unconditional" for steer in row.steering.steers):
        raise TonearmError(
            f"branch unconditional needs guidance, which is off at {sampling.guidance:g}; use guidance above 1"
        )
    if not sampling.top_k >= 0:
        raise TonearmError(f"top_k {sampling.top_k} is not possible; use 1 or more, or 0 for no limit")
    if not 0 < sampling.top_p <= 1:
        raise TonearmError(f"top_p {sampling.top_p:g} is not possible; use above 0 up to 1")


def _with_source_layers(steering: Steering, vectors: Mapping[str, SteeringVector]) -> Steering:
    """The steering with every source layer written out, so that a sidecar does not depend on a vector file's best layer."""
    steers = []
    for steer in steering.steers:
        best = vectors[steer.vector].info.best_layer
        if steer.strategy != "all-to-all" and steer.source_layer is None and best is not None:
            steer = steer.model_copy(update={"source_layer": best})
        steers.append(steer)
    return Steering(steers=tuple(steers))
