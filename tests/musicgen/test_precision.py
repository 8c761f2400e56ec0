"""Decoding with weights in fewer bits: its error, and its record in provenance."""

import numpy as np
import pytest
import torch

from tests.musicgen.decode_requests import FRAMES, request_for
from tonearm import Clip, TakeRequest, TonearmError, load, replay
from tonearm.musicgen import packed_linear
from tonearm.musicgen.codec import decode_codes, encode_audio

# Error of the logits relative to their spread, for random weights
BOUND = {"bfloat16": 0.02, "float16": 0.005, "int8": 0.08}


@pytest.mark.parametrize("precision", BOUND)
@pytest.mark.parametrize("variant", ["small", "melody"])
def test_logits_stay_near_those_of_float32(folder_of, variant, precision):
    logits = {}
    tokens = torch.randint(0, 64, (2, 4, FRAMES), generator=torch.Generator().manual_seed(0))
    for name in ("float32", precision):
        model = load(str(folder_of(variant)), device="cpu", dtype=name)
        logits[name] = model.engine.decoder.begin(request_for(model).conditioning, FRAMES).forward(
            tokens, {}
        )
    assert logits[precision].dtype == torch.float32
    off = (logits[precision] - logits["float32"]).std() / logits["float32"].std()
    assert 0 < off < BOUND[precision]


def test_an_int8_take_is_recorded_as_int8_and_replays_from_its_sidecar(folder_of, tmp_path):
    model = load(str(folder_of("small")), device="cpu", dtype="int8")
    assert "int8" in repr(model)
    take = model.generate("a folk tune", seconds=1, seed=3)
    assert take.provenance.stack.dtype == "int8"
    path = take.save(tmp_path / "take.wav")
    again = replay(path.with_suffix(".json"), checkpoint=str(folder_of("small")))
    assert again.identical and again.take.provenance.stack.dtype == "int8"


def test_an_int8_row_does_not_depend_on_its_batch(folder_of):
    model = load(str(folder_of("small")), device="cpu", dtype="int8")
    texts = ["a folk tune", "a calm piano piece", "a jazz tune"]
    requests = [TakeRequest(text, 5 + i, seconds=1) for i, text in enumerate(texts)]
    together = list(model.generate_batch(requests, batch_size=3))
    alone = model.generate("a calm piano piece", seconds=1, seed=6)
    assert (together[1].codes == alone.codes).all()


def test_the_reference_engine_refuses_int8(folder_of):
    with pytest.raises(TonearmError, match="engine reference has no int8; use engine decoder"):
        load(str(folder_of("small")), device="cpu", dtype="int8", engine="reference")
    model = load(str(folder_of("small")), device="cpu", dtype="int8")
    with pytest.raises(TonearmError, match="no int8"):
        model.with_engine("reference")


def test_int8_is_refused_without_a_quantised_product(folder_of, monkeypatch):
    monkeypatch.setattr(packed_linear, "_can_quantise", lambda: False)
    with pytest.raises(
        TonearmError, match="int8 needs a CPU and a torch with oneDNN's quantised product"
    ):
        load(str(folder_of("small")), device="cpu", dtype="int8")


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8"])
def test_text_encoder_and_codec_stay_in_float32(folder_of, variant, dtype):
    exact = load(str(folder_of(variant)), device="cpu", dtype="float32").checkpoint
    other = load(str(folder_of(variant)), device="cpu", dtype=dtype).checkpoint
    for part in ("text_encoder", "audio_encoder"):
        expected = getattr(exact.model, part).state_dict()
        for name, tensor in getattr(other.model, part).state_dict().items():
            assert torch.equal(tensor, expected[name]) and tensor.dtype == expected[name].dtype
    noise = Clip(np.random.default_rng(0).uniform(-0.5, 0.5, 1600).astype(np.float32), 1600)
    codes = encode_audio(exact, noise)
    assert torch.equal(encode_audio(other, noise), codes)
    assert np.array_equal(decode_codes(other, codes).samples, decode_codes(exact, codes).samples)


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small", "stereo-melody"])
@pytest.mark.parametrize("engine", ["decoder", "reference"])
def test_both_engines_decode_in_bfloat16(folder_of, variant, engine):
    model = load(str(folder_of(variant)), device="cpu", dtype="bfloat16", engine=engine)
    assert model.checkpoint.model.decoder.dtype == torch.bfloat16
    request = TakeRequest("a folk tune", 1, seconds=0.4, negative="a calm tune")
    (take,) = model.generate_batch([request])
    assert take.codes.shape[1] == 10 and take.clip.samples.any()
    tone = Clip(np.sin(np.arange(1600)).astype(np.float32), 1600)
    if model.shape.melody_trained:
        model.generate("a folk tune", melody=tone, seconds=0.4, seed=1)
