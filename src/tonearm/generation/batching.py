"""Batches of prepared requests: which rows are decoded together, and in which order."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from tonearm.errors import TonearmError
from tonearm.generation.prepare import PreparedRequest
from tonearm.generation.provenance import MAX_ROWS
from tonearm.musicgen.memory_estimate import BatchShape
from tonearm.progress import Progress

Order = Literal["input", "completion"]
ORDERS: tuple[Order, ...] = ("input", "completion")
FIRST_ROWS = 64  # considered for a batch; twice as many, and so on, while all of them fit


@dataclass(frozen=True)
class Limits:
    """Limits of a batch.

    window, overlap  of decoding, in frames
    uniform          rows of a batch must have one length
    rows             of a batch, at most, where its size is not given
    fit              number of a BatchShape's rows that fit the memory; raises if not one does
    check            raises if a batch of a given size does not fit the memory
    """

    window: int
    overlap: int
    uniform: bool
    rows: int
    fit: Callable[[BatchShape], int]
    check: Callable[[BatchShape], None]


def pack(
    prepared: Sequence[PreparedRequest], order: Order, batch_size: int | None, limits: Limits
) -> list[list[int]]:
    """Divide requests into batches, in time linear in their number (but for sorting).

    Args:
        prepared: the requests.
        order: "input" keeps their order, so that only neighbours share a batch; "completion" sorts
            them by batch key and length, longest first.
        batch_size: rows per batch; default: as many as fit the memory.
        limits: see `Limits`.

    Returns:
        Indices of the requests of each batch.

    Raises:
        TonearmError: an order or batch size that is not possible, or a request that does not fit.
    """
    if order not in ORDERS:
        raise TonearmError(f"order {order!r} is not known; use one of {', '.join(ORDERS)}")
    if batch_size is not None and not 1 <= batch_size <= MAX_ROWS:
        raise TonearmError(f"batch size {batch_size} is not possible; use 1 to {MAX_ROWS}")

    def key(index: int) -> tuple[Hashable, ...]:
        one = prepared[index]
        return (*one.batch_key, one.frames) if limits.uniform else one.batch_key

    indices = list(range(len(prepared)))
    if order == "completion":
        keys = [key(index) for index in indices]
        indices.sort(key=lambda i: (keys[i], -(prepared[i].frames or 0), i))
    batches: list[list[int]] = []
    for _, group in groupby(indices, key=key):
        members = list(group)
        if batch_size is not None:
            given = [
                members[first : first + batch_size] for first in range(0, len(members), batch_size)
            ]
            for batch in given:
                limits.check(batch_shape([prepared[index] for index in batch], limits))
            batches += given
        else:
            batches += _fitting(members, prepared, limits)
    return batches


def _fitting(
    members: Sequence[int], prepared: Sequence[PreparedRequest], limits: Limits
) -> list[list[int]]:
    """Batches of neighbours that fit the memory, estimated from the largest of the next rows."""
    batches, first = [], 0
    while first < len(members):
        most = min(limits.rows, len(members) - first)
        count = considered = 0
        # More rows are considered while all fit: a long row far behind does not count.
        while count == considered < most:
            considered = min(max(FIRST_ROWS, 2 * considered), most)
            rows = [prepared[index] for index in members[first : first + considered]]
            count = max(count, limits.fit(batch_shape(rows, limits)))
        batches.append(list(members[first : first + count]))
        first += count
    return batches


def batch_shape(rows: Sequence[PreparedRequest], limits: Limits, live: bool = False) -> BatchShape:
    """Quantities that the memory of decoding some rows together depends on.

    Args:
        rows: of the batch; one that plays until it is stopped counts as one window.
        limits: of a batch.
        live: the prompt may be changed while the rows are decoded, which ends the window; the next
            one begins with a pass over the overlap.
    """
    frames = max(row.frames or limits.window for row in rows)
    has_windows = live or frames > limits.window or any(row.sections for row in rows)
    overlap = min(limits.overlap, frames) if has_windows else 0
    return BatchShape(
        rows=len(rows),
        guided=any(row.sampling.strongest_guidance > 1 for row in rows),
        frames=frames,
        window=limits.window,
        known_frames=max(rows[0].prompt_frames, overlap),
        text_tokens=max(max(row.text_tokens, row.token_count) for row in rows),
        vectors=max(len(row.steering.steers) for row in rows),
        negatives=sum(1 for row in rows if row.request.negative),
    )


class BatchProgress:
    """Frames done over all rows of all batches."""

    def __init__(self, batches: Sequence[Sequence[int]], progress: Progress | None):
        self.batches, self.progress = iter(batches), progress
        self.before, self.total = 0, sum(map(sum, batches))

    def next_batch(self) -> Progress | None:
        """Progress function for the next batch; `batches` holds the frames of each row."""
        lengths, before, report = next(self.batches), self.before, self.progress
        self.before += sum(lengths)
        if report is None:
            return None
        return lambda done, _: report(
            before + sum(min(done, length) for length in lengths), self.total
        )
