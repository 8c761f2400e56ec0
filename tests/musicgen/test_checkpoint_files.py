"""Edited JSON files of a checkpoint folder: fallbacks of `generate()`, or one line with the file."""

import json
import shutil

import numpy as np
import pytest

from tonearm.errors import TonearmError
from tonearm.loading import loading_errors
from tonearm.model import Model, load
from tonearm.musicgen.checkpoint import load_checkpoint

FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
GONE = object()


@pytest.fixture
def folder(folder_of, tmp_path):
    return shutil.copytree(folder_of("small"), tmp_path / "mine")


def edit(file, *place, value):
    content = json.loads(file.read_text())
    owner = content
    for key in place[:-1]:
        owner = owner[key]
    if value is GONE:
        del owner[place[-1]]
    else:
        owner[place[-1]] = value
    file.write_text(json.dumps(content))


def assert_refused(folder, file):
    with pytest.raises(TonearmError) as error:
        load_checkpoint(str(folder), "cpu")
    assert file in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe"])
def test_a_file_that_is_not_a_json_object_is_refused(folder, file, content):
    (folder / file).write_bytes(content)
    assert_refused(folder, file)


@pytest.mark.parametrize(
    ("file", "place", "value"),
    [
        ("config.json", ("decoder", "num_hidden_layers"), []),
        ("config.json", ("audio_encoder", "codebook_dim"), "x"),
        ("config.json", ("text_encoder", "dense_act_fn"), -1),
        ("config.json", ("text_encoder", "d_kv"), GONE),
        ("generation_config.json", ("decoder_start_token_id",), 10**9),
        ("generation_config.json", ("decoder_start_token_id",), -1),
        ("generation_config.json", ("decoder_start_token_id",), "x"),
        ("generation_config.json", ("guidance_scale",), "x"),
        ("generation_config.json", ("guidance_scale",), -1),
        ("generation_config.json", ("max_length",), "x"),
        ("tokenizer.json", ("added_tokens", 0, "lstrip"), GONE),
        ("tokenizer.json", ("model", "vocab", "folk"), "x"),
        ("tokenizer.json", ("model", "vocab", "folk"), 10**6),
        ("tokenizer.json", ("normalizer",), {}),
        ("tokenizer_config.json", ("eos_token",), 3.7),
        ("tokenizer_config.json", ("pad_token",), None),
        ("tokenizer_config.json", ("model_max_length",), -1),
    ],
)
def test_a_field_of_a_wrong_type_or_value_is_refused(folder, file, place, value):
    edit(folder / file, *place, value=value)
    assert_refused(folder, file)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("audio_encoder", "pad_mode"), "x"),
        (("decoder", "num_attention_heads"), -1),
        (("text_encoder", "relative_attention_max_distance"), 0),
        (("chroma_length",), -1),
    ],
)
def test_a_value_that_fails_only_in_use_is_refused_at_load(folder_of, tmp_path, place, value):
    folder = shutil.copytree(folder_of("melody"), tmp_path / "mine")
    edit(folder / "config.json", *place, value=value)
    with pytest.raises(TonearmError) as error:
        load(str(folder), device="cpu")
    assert "config.json" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, "{}"])
def test_without_a_generation_config_the_tokens_are_those_of_the_decoder(folder, small, content):
    file = folder / "generation_config.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    settings = dict(seconds=0.4, seed=3, guidance=3.0, top_k=20)
    expected = small.generate("a fast folk tune", **settings)
    checkpoint = load_checkpoint(str(folder), "cpu")
    for engine in ("decoder", "reference"):
        take = Model(checkpoint, engine).generate("a fast folk tune", **settings)
        assert np.array_equal(take.codes, expected.codes)


def test_a_start_token_that_is_absent_is_the_bos_token(folder):
    edit(folder / "generation_config.json", "decoder_start_token_id", value=GONE)
    edit(folder / "generation_config.json", "bos_token_id", value=7)
    assert load_checkpoint(str(folder), "cpu").bos == 7


def test_a_panic_of_the_tokenizer_library_is_one_line():
    panic = type("PanicException", (BaseException,), {})
    message = r"cannot load x \(index out of range\)"
    with pytest.raises(TonearmError, match=message), loading_errors("x", "load another"):
        raise panic("index\nout of range")
    with pytest.raises(KeyboardInterrupt), loading_errors("x", "load another"):
        raise KeyboardInterrupt
