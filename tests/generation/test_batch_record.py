"""Record of a batch: replay allocates the caches that the batch had, whose length decides shapes, and
decodes as many rows to audio together as the batch did.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.musicgen.decode_requests import with_window
from tonearm.errors import TonearmError
from tonearm.generation.provenance import SIDECAR_FORMAT
from tonearm.generation.request import TakeRequest
from tonearm.musicgen import codec
from tonearm.musicgen.codec import CodecLimit
from tonearm.replaying import replay

PROMPT = "a fast folk tune"


@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize("seconds", [(0.2, 1.2), (1.2, 0.2), (0.2, 4.0, 0.6)])
def test_a_row_of_a_batch_of_mixed_lengths(model_of, tmp_path, allocated, variant, seconds):
    model = model_of(variant)
    requests = [TakeRequest(PROMPT, i, seconds=length) for i, length in enumerate(seconds)]
    takes = list(model.generate_batch(requests, batch_size=len(requests)))
    rate = model.shape.frame_rate
    assert {take.provenance.batch.frames for take in takes} == {round(max(seconds) * rate)}
    before = list(allocated)
    for row, take in enumerate(takes):
        sidecar = take.save(tmp_path / f"{row}.wav")
        del allocated[:]
        again = replay(sidecar, model=model)
        assert again.identical and again.take.provenance.batch == take.provenance.batch
        assert allocated == before[: len(allocated)] and allocated


@pytest.mark.parametrize("seconds", [None, 2.0, 5.0])
@pytest.mark.parametrize("chunks", [1, 5, 12, 30])
def test_a_stream_that_was_stopped(melody, tmp_path, allocated, seconds, chunks):
    melody = with_window(melody, 20)  # frames, 0.8 s
    stream = melody.stream(PROMPT, seconds=seconds, seed=5, chunk_seconds=0.1)
    for count, _ in enumerate(stream, start=1):
        if count == chunks:
            stream.stop()
    before = list(allocated)
    sidecar = stream.take.save(tmp_path / "take.wav")
    del allocated[:]
    again = replay(sidecar, model=melody)
    assert again.identical and allocated == before
    assert again.take.provenance.batch == stream.take.provenance.batch


def test_a_sidecar_without_the_length_of_the_batch_replays(small, tmp_path):
    sidecar = small.generate(PROMPT, seconds=0.4, seed=1).save(tmp_path / "take.wav")
    content = json.loads(sidecar.read_text())
    assert content["batch"].pop("frames") == content["frames"]
    sidecar.write_text(json.dumps(content))
    assert replay(sidecar, model=small).identical


@pytest.fixture
def four_at_once(monkeypatch) -> None:
    """The codec decodes up to four rows together."""
    monkeypatch.setattr(codec, "codec_limit", lambda _: CodecLimit(4, 10**12))


def six_requests() -> list[TakeRequest]:
    """One take that is shorter than the five others."""
    lengths = (0.4, 0.4, 0.2, 0.4, 0.4, 0.4)
    return [TakeRequest(PROMPT, seed, seconds=length) for seed, length in enumerate(lengths)]


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_rows_decoded_to_audio_together_replay_bit_for_bit(
    model_of, tmp_path, four_at_once, variant
):
    model = model_of(variant)
    takes = list(model.generate_batch(six_requests(), batch_size=6))
    records = [take.provenance.batch for take in takes]
    assert [(one.codec_rows, one.codec_row) for one in records] == [
        *((4, 0), (4, 1), (1, 0), (4, 2), (4, 3), (1, 0))
    ]
    for row, take in enumerate(takes):
        again = replay(take.save(tmp_path / f"{row}.wav"), model=model)
        assert again.identical and again.take.provenance.batch == records[row]


def test_replay_decodes_as_many_rows_together_at_the_same_place(
    small, tmp_path, four_at_once, monkeypatch
):
    """A codec whose samples depend on the number of rows and on the place among them."""
    real = codec._decode_whole

    def dependent(checkpoint, codes):
        rows = enumerate(real(checkpoint, codes))
        return [samples + 1e-3 * len(codes) + 1e-4 * place for place, samples in rows]

    monkeypatch.setattr(codec, "_decode_whole", dependent)
    takes = list(small.generate_batch(six_requests(), batch_size=6))
    for row, take in enumerate(takes):
        assert replay(take.save(tmp_path / f"{row}.wav"), model=small).identical
    sidecar = tmp_path / "1.json"
    for other in ({"codec_row": 0}, {"codec_rows": 3}):
        change(takes[1].save(tmp_path / "1.wav"), **other)
        assert not replay(sidecar, model=small).identical


def test_the_neighbours_of_a_row_do_not_change_its_audio(small, four_at_once):
    requests = [TakeRequest(PROMPT, seed, seconds=0.4) for seed in range(4)]
    takes = list(small.generate_batch(requests, batch_size=4))
    others = [replace(one, seed=one.seed + 10, prompt="calm") for one in requests]
    for row, take in enumerate(takes):
        batch = [*others[:row], requests[row], *others[row + 1 :]]
        again = list(small.generate_batch(batch, batch_size=4))
        assert np.array_equal(again[row].clip.samples, take.clip.samples)
        assert not np.array_equal(again[row - 1].codes, takes[row - 1].codes)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_sidecar_of_an_earlier_format_has_one_row_of_the_codec(small, tmp_path, number):
    take = small.generate(PROMPT, seconds=0.4, seed=1)
    sidecar = take.save(tmp_path / "take.wav")
    content = json.loads(sidecar.read_text())
    assert content["format"] == SIDECAR_FORMAT
    assert content["batch"].pop("codec_rows") == 1 and content["batch"].pop("codec_row") == 0
    sidecar.write_text(json.dumps(content | {"format": number}))
    again = replay(sidecar, model=small)
    assert again.identical and again.take.provenance == take.provenance


def change(sidecar, **batch) -> None:
    content = json.loads(sidecar.read_text())
    content["batch"] |= batch
    sidecar.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"frames": 1}, r"batch\.frames 1 is less than the take's"),
        ({"frames": 10**9}, r"batch\.frames: .* less than or equal to 100000000"),
        ({"size": 10**9}, r"batch\.size: .* less than or equal to 4096"),
        ({"text_tokens": 10**9}, r"batch\.text_tokens: .* less than or equal to 16384"),
        ({"size": 4096, "text_tokens": 16_384}, "a batch of 4096 takes .* needs .* GiB"),
        ({"codec_rows": 2}, "codec_rows 2 is more than a batch of 1"),
        ({"codec_row": 1}, "codec_row 1 is outside of 1 rows"),
        ({"codec_rows": 10**9}, r"batch\.codec_rows: .* less than or equal to 4096"),
        ({"codec_row": -1}, r"batch\.codec_row: .* greater than or equal to 0"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_before_anything_is_allocated(
    small, tmp_path, allocated, batch, said
):
    sidecar = small.generate(PROMPT, seconds=0.4, seed=1).save(tmp_path / "take.wav")
    change(sidecar, **batch)
    del allocated[:]
    with pytest.raises(TonearmError, match=said) as error:
        replay(sidecar, model=small)
    assert "\n" not in str(error.value) and str(sidecar) in str(error.value)
    assert not allocated


def test_lengths_that_do_not_belong_together_are_refused(small, tmp_path):
    sidecar = small.generate(PROMPT, seconds=0.4, seed=1).save(tmp_path / "take.wav")
    content = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(content | {"new_seconds": 400.0}))
    with pytest.raises(TonearmError, match="new_seconds 400 do not belong together"):
        replay(sidecar, model=small)
