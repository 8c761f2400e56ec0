"""Takes with several prompts: sections of requests, in batches, in sidecars and on replay."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.generation.streams import PROMPT
from tests.measures.sounds import noise
from tests.musicgen.decode_requests import with_window
from tests.steering.vectors import vector_of
from tonearm import Clip, Model, Steer, Steering, TakeRequest, TonearmError
from tonearm.generation.provenance import SIDECAR_FORMAT, read_sidecar
from tonearm.musicgen.sampling import Sampling
from tonearm.replaying import replay

OTHER = "a slow jazz piece with flute and piano"  # padded to another length than PROMPT
THIRD = "loud"
RATE = 25


@pytest.fixture(params=["small", "melody", "stereo-small"])
def model(model_of, request):
    """A model with a vector and a window of 20 frames."""
    found = model_of(request.param)
    found.vectors["push"] = vector_of(found, "push")
    return with_window(found, 20)


def at(*starts_and_prompts):
    """Sections at frames."""
    return tuple((frame / RATE, prompt) for frame, prompt in starts_and_prompts)


def assert_replays(take, model, path):
    again = replay(take.save(path), model=model)
    assert again.identical and np.array_equal(again.take.codes, take.codes)
    assert again.take.provenance.batch == take.provenance.batch
    assert again.take.provenance.sections == take.provenance.sections


def test_a_piece_in_one_call_is_that_of_its_prompts_and_replays(model, tmp_path):
    settings = dict(seconds=2.0, seed=5, steer={"push": "raw:1"}, negative="calm")
    take = model.generate(PROMPT, sections=at((14, OTHER), (31, THIRD)), **settings)
    plain = model.generate(PROMPT, **settings)
    first = model.generate(PROMPT, sections=at((14, OTHER)), **settings)
    assert take.codes.shape == plain.codes.shape
    for other, start in ((plain, 14), (first, 31)):
        assert np.array_equal(take.codes[0, :start], other.codes[0, :start])
        assert not np.array_equal(take.codes[0, start:], other.codes[0, start:])
    sections = [(one.frame, one.prompt) for one in take.provenance.sections]
    assert sections == [(14, OTHER), (31, THIRD)]
    assert_replays(take, Model(model.checkpoint), tmp_path / "a.wav")


def test_rows_share_a_batch_where_their_sections_begin_together(small, monkeypatch):
    batches = []
    real = small.engine.rows

    def rows(request, *others):
        batches.append((request.conditioning.rows, [one.frame for one in request.sections]))
        return real(request, *others)

    monkeypatch.setattr(small.engine, "rows", rows)
    cuts = [at((9, OTHER)), at((9, THIRD)), at((10, OTHER)), (), at((9, THIRD), (12, OTHER))]
    requests = [
        TakeRequest(PROMPT, seed, seconds=0.8, sections=sections)
        for seed, sections in enumerate(cuts)
    ]
    together = list(small.generate_batch(requests))
    assert batches == [(2, [9]), (1, [10]), (1, []), (1, [9, 12])]
    for request, take in zip(requests, together, strict=True):
        (alone,) = small.generate_batch([request])
        assert np.array_equal(take.codes, alone.codes)


@pytest.mark.parametrize("kind", ["texts", "lengths", "negatives", "one text", "texts that part"])
def test_every_row_of_a_batch_replays(model, tmp_path, kind):
    steering = Steering(steers=(Steer(vector="push", strength=2.0),))
    requests = [
        TakeRequest(text, seed, steering, seconds=1.4, sections=at((7, other), (21, PROMPT)))
        for seed, (text, other) in enumerate(
            [(PROMPT, OTHER), (THIRD, OTHER), (OTHER, OTHER), (PROMPT, OTHER)]
        )
    ]
    if kind == "lengths":
        lengths = (1.0, 2.4, 1.2, 0.9)
        requests = [
            replace(one, seconds=length) for one, length in zip(requests, lengths, strict=True)
        ]
    elif kind == "negatives":
        for row, negative in ((1, "calm"), (2, THIRD)):
            requests[row] = replace(requests[row], negative=negative)
    elif kind == "one text":
        requests = [replace(requests[0], seed=seed) for seed in range(4)]
    elif kind == "texts that part":
        requests = [
            replace(one, prompt=PROMPT, sections=at((7, (OTHER, THIRD)[row // 2]), (21, PROMPT)))
            for row, one in enumerate(requests)
        ]
        requests[3] = replace(requests[3], negative=PROMPT)
        requests[2] = replace(requests[2], negative=PROMPT)
    for row, take in enumerate(model.generate_batch(requests, batch_size=4)):
        assert_replays(take, Model(model.checkpoint), tmp_path / f"{row}.wav")


def test_rows_of_a_group_part_where_their_texts_do(small):
    """Rows of one prompt share its keys; in the section, pairs of rows share theirs."""
    requests = [
        TakeRequest(PROMPT, row, seconds=0.6, sections=at((7, (OTHER, THIRD)[row // 2])))
        for row in range(4)
    ]
    records = [one.provenance.batch for one in small.generate_batch(requests, batch_size=4)]
    assert {one.text_group for one in records} == {4}
    assert {section.text_group for one in records for section in one.sections} == {2}


def test_sections_after_an_audio_prompt_and_with_a_melody(melody, tmp_path):
    model = with_window(melody, 20)
    tone = Clip(np.sin(np.arange(12800) / 5) * 0.4, 16000)
    settings = dict(seconds=1.6, seed=5, continue_from=noise(), melody=tone)
    known = model.generate(PROMPT, **settings).codes.shape[1] - 40
    sections = at((known + 6, OTHER), (known + 25, THIRD))
    take = model.generate(PROMPT, sections=sections, **settings)
    assert [one.frame for one in take.provenance.sections] == [known + 6, known + 25]
    assert_replays(take, model, tmp_path / "a.wav")
    with pytest.raises(TonearmError, match=r"cannot begin at .* s; the new music is from"):
        model.generate(PROMPT, sections=at((known, OTHER)), **settings)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (((0, OTHER),), r"'a slow jazz .*' cannot begin at 0 s; .* from 0 s to 1\.2 s"),
        (((1.2, OTHER),), r"cannot begin at 1\.2 s"),
        (((float("nan"), OTHER),), "cannot begin at nan s"),
        (((float("inf"), OTHER),), "cannot begin at inf s"),
        (((0.8, OTHER), (0.4, THIRD)), r"at 0\.4 s does not begin after .* at 0\.8 s; .* in order"),
        (((0.4, OTHER), (0.405, THIRD)), "does not begin after the one before"),
        (((0.4, " "),), "the prompt is empty"),
        ((OTHER,), r"sections\[0\]"),
        (((0.4, 3),), r"sections\[0\]"),
        ((("0.4", OTHER),), r"sections\[0\]"),
        (OTHER, "sections"),
        ([(0.1, OTHER)] * 5000, "5000 sections are too many; give at most 4096"),
    ],
)
def test_sections_that_cannot_be_are_refused(small, sections, message):
    with pytest.raises(TonearmError, match=message) as error:
        small.generate(PROMPT, seconds=1.2, sections=sections)
    assert "\n" not in str(error.value)


def test_one_prompt_is_needed_by_the_reference_engine_and_by_divergence(small):
    sections = at((9, OTHER))
    with pytest.raises(TonearmError, match=r"engine reference has no sections .* use engine"):
        small.with_engine("reference").generate(PROMPT, seconds=0.8, sections=sections)
    take = small.generate(PROMPT, seconds=0.8, seed=1)
    request = TakeRequest(PROMPT, 1, seconds=0.8, sections=sections)
    with pytest.raises(TonearmError, match="divergence is of one prompt"):
        small.divergence([request], [take])
    continued = TakeRequest(PROMPT, 1, seconds=0.4, continue_from=noise(0.4))
    longer = small.generate(PROMPT, seconds=0.4, seed=1, continue_from=noise(0.4))
    with pytest.raises(TonearmError, match="omit the audio prompts"):
        small.divergence([continued], [longer])
    with pytest.raises(TonearmError, match="has 1 sections and the place 0"):
        small.reproduce(request, take.provenance.batch, {})


def test_texts_are_checked_before_anything_is_decoded(melody):
    with pytest.raises(TonearmError, match="characters; write at most"):
        melody.generate(PROMPT, seconds=0.8, sections=at((9, "a " * 6000)))


def changed(sidecar, change):
    content = json.loads(sidecar.read_text())
    change(content)
    sidecar.write_text(json.dumps(content))
    return sidecar


def test_a_sidecar_of_the_format_before_has_one_prompt(small, tmp_path):
    take = small.generate(PROMPT, seconds=0.4, seed=1)

    def older(content):
        assert content.pop("sections") == content["batch"].pop("sections") == []
        content["format"] = SIDECAR_FORMAT - 1

    sidecar = changed(take.save(tmp_path / "a.wav"), older)
    again = replay(sidecar, model=small)
    assert again.identical and again.take.provenance == take.provenance


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["sections"][0].update(frame=0), r"sections\.0\.frame"),
        (lambda c: c["sections"][0].update(frame=20), "sections do not begin in order of time"),
        (lambda c: c["sections"].reverse(), "sections do not begin in order of time"),
        (lambda c: c["sections"].pop(), "there are 1 sections, and 2 in batch"),
        (lambda c: c["batch"]["sections"][1].update(text_group=2), "into groups of 2"),
        (lambda c: c["batch"]["sections"][1].update(text_tokens=10**9), "text_tokens"),
    ],
)
def test_sections_of_a_sidecar_that_cannot_be_are_refused(small, tmp_path, change, message):
    take = small.generate(PROMPT, seconds=0.8, seed=1, sections=at((7, OTHER), (12, THIRD)))
    sidecar = changed(take.save(tmp_path / "a.wav"), change)
    with pytest.raises(TonearmError, match=message) as error:
        read_sidecar(sidecar)
    assert "\n" not in str(error.value) and str(sidecar) in str(error.value)


def test_sampling_of_rows_with_sections_is_their_own(small, tmp_path):
    requests = [
        TakeRequest(
            PROMPT, 3, sampling=Sampling(temperature=t), seconds=0.8, sections=at((9, OTHER))
        )
        for t in (0.0, 1.0)
    ]
    greedy, drawn = small.generate_batch(requests, batch_size=2)
    assert not np.array_equal(greedy.codes, drawn.codes)
    assert_replays(drawn, small, tmp_path / "drawn.wav")
