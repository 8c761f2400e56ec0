"""Arguments of wrong types: one line at every public entry, before any work."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import tonearm
from tests.steering.vectors import vector_of
from tonearm import boundary
from tonearm.audio import Clip
from tonearm.comparison import Comparison
from tonearm.errors import TonearmError
from tonearm.measures.batch import ClapScoring, train_from_folders
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Control, Schedule, Steer, Steering, load_vector, save_vector

PROMPT = "a fast folk tune"
NO_TEXT = [3, 1.5, b"calm", ["calm", "loud"], {"a": 1}, np.array([1]), object(), "a\0b", "\ud800"]
NO_INTEGER = [1.5, "3", [3], np.array([1, 2]), float("nan"), True, object(), 10**5000]
NO_NUMBER = ["3", [3], np.array([1, 2]), True, 1j, object(), 10**400]
NO_PATH = [3, b"a.wav", ["a.wav"], object(), "", "a\0.wav", "a" * 5000]
NO_AUDIO = [3, b"a.wav", object(), np.zeros(8), (np.zeros(8),), (np.zeros(8), "32000"), ("x", 8)]
NO_FUNCTION = [3, "print", [print]]
NO_OBJECT = [3, "x", [3], object(), Steer]

GENERATE = dict(
    prompt=[None, *NO_TEXT],
    steer=[3, b"tempo=1", [3], {"tempo": "much"}, {3: 1.0}, object()],
    seconds=NO_NUMBER,
    seed=NO_INTEGER,
    guidance=NO_NUMBER,
    temperature=NO_NUMBER,
    top_k=NO_INTEGER,
    top_p=NO_NUMBER,
    negative=NO_TEXT,
    continue_from=NO_AUDIO,
    melody=NO_AUDIO,
)
PROGRESS = dict(progress=NO_FUNCTION)
REQUEST = dict(
    prompt=[None, *NO_TEXT],
    seed=[None, *NO_INTEGER],
    steering=[None, *NO_OBJECT],
    sampling=NO_OBJECT,
    negative=NO_TEXT,
    seconds=[None, *NO_NUMBER],
    continue_from=NO_AUDIO,
    melody=NO_AUDIO,
)
BATCH = dict(
    requests=[None, 3, "calm", ["calm"], {"a": 1}, np.array(3)],
    vectors=[3, [3], {"tempo": 3}],
    order=[None, 3, "random", ["input"]],
    batch_size=NO_INTEGER,
    memory_gib=NO_NUMBER,
    progress=NO_FUNCTION,
)
LEARN = dict(
    model=[None, *NO_OBJECT],
    positive=[None, 3, "fast", [3], {"a": 1}, [b"fast"]],
    negative=[3, "slow", [3], [None]],
    name=[None, *NO_TEXT],
    method=NO_TEXT,
    site=NO_TEXT,
    pooling=NO_TEXT,
    positive_label=[None, *NO_TEXT],
    negative_label=NO_TEXT,
    batch_size=[None, *NO_INTEGER],
    seconds=[None, *NO_NUMBER],
    seed=[None, -1, 2**63, *NO_INTEGER],
    progress=NO_FUNCTION,
)
LEARN_FROM_AUDIO = dict(
    model=[None, *NO_OBJECT],
    positive=[None, 3, "a.wav", [3], {"a": 1}, [np.zeros(8)]],
    negative=[None, 3, "a.wav", [3], [None]],
    name=[None, *NO_TEXT],
    method=[None, *NO_TEXT],
    site=NO_TEXT,
    pooling=[None, *NO_TEXT],
    segment_seconds=NO_NUMBER,
    text=NO_TEXT,
    positive_label=[None, *NO_TEXT],
    negative_label=[None, *NO_TEXT],
    batch_size=NO_INTEGER,
    store=NO_PATH,
    progress=NO_FUNCTION,
)
COMPARE = dict(
    model=[None, *NO_OBJECT],
    prompt=[None, *NO_TEXT],
    steerings=[None, 3, "tempo=1", {"tempo": 1}, [3]],
    seconds=NO_NUMBER,
    seed=NO_INTEGER,
    sampling=NO_OBJECT,
    progress=NO_FUNCTION,
)
LOAD = dict(
    name=[None, *NO_PATH],
    device=NO_TEXT,
    dtype=NO_TEXT,
    engine=[None, *NO_TEXT],
)
REPLAY = dict(sidecar=[None, *NO_PATH], model=NO_OBJECT, checkpoint=NO_PATH, progress=NO_FUNCTION)
INPUTS = dict(continue_from=NO_AUDIO, melody=NO_AUDIO)
SAVE_TAKE = dict(
    path=[None, *NO_PATH, "take", "take.mp3"],
    measured=[3, [3], "tempo", {"a": object()}, {"a": float("nan")}, {"a": "\ud800"}, {(1, 2): 3}],
)
SAVE_VECTOR = dict(vector=[None, *NO_OBJECT], path=[None, *NO_PATH])
TRAIN = dict(
    name=[None, *NO_TEXT],
    folders=[None, 3, "corpus", [3], [None], {"a": 1}],
    embedder=[None, 3, "clap", object()],
    seed=[None, -1, *NO_INTEGER],
    progress=NO_FUNCTION,
)
DESCRIBE = dict(clip=[None, *NO_OBJECT, np.zeros(8)], tracker=[3, "librosa", object])
FILES = dict(
    paths=[None, 3, "a.wav", [3], [None], {"a": 1}],
    tracker=[3, "librosa", object],
    scoring=[*NO_OBJECT, ClapScoring],
    progress=NO_FUNCTION,
)
STEER = dict(
    vector=[None, 3, ["v"], ""],
    strength=[None, "much", [1], object(), float("nan")],
    operator=[None, 3, "shift"],
    source_layer=["x", -1, 1.5, object()],
    layers=[3, ["x"], [-1], object()],
    schedule=[3, [(0, 1)], object()],
    unknown=[3],
)
SAMPLING = dict(
    guidance=[None, *NO_NUMBER],
    temperature=[None, *NO_NUMBER],
    top_k=[None, *NO_INTEGER],
    top_p=[None, *NO_NUMBER],
    guidance_schedule=[3, [(0, 1)], Schedule],
    temperature_schedule=[3, [(0, 1)], Schedule],
)


def cases(**wrong):
    return [
        pytest.param({name: value}, id=f"{name}-{index}")
        for name, values in wrong.items()
        for index, value in enumerate(values)
    ]


@pytest.fixture
def idle(melody, monkeypatch):
    """A model that fails as soon as it computes, and a checkpoint loader that fails too."""

    def work(*_, **__):
        raise AssertionError("work was begun")

    monkeypatch.setattr(melody, "engine", type(melody.engine).__new__(type(melody.engine)))
    monkeypatch.setattr(type(melody.engine), "rows", work)
    for module in ("model", "generation.open_stream", "generation.divergence"):
        monkeypatch.setattr(f"tonearm.{module}.encode_batch", work)
    monkeypatch.setattr("tonearm.methods.learn.capture_rows", work)
    monkeypatch.setattr("tonearm.methods.learn_from_audio.capture_recordings", work)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", work)
    return melody


def assert_refused(function, **arguments):
    with pytest.raises(TonearmError) as error:
        function(**arguments)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("wrong", cases(**GENERATE, **PROGRESS))
def test_generate_refuses_wrong_types(idle, wrong):
    assert_refused(idle.generate, **dict(prompt=PROMPT, seconds=0.4) | wrong)


@pytest.mark.parametrize("wrong", cases(**GENERATE, chunk_seconds=[None, *NO_NUMBER]))
def test_stream_refuses_wrong_types(idle, wrong):
    assert_refused(idle.stream, **dict(prompt=PROMPT, seconds=0.4) | wrong)


@pytest.mark.parametrize("wrong", cases(**BATCH))
def test_generate_batch_refuses_wrong_types(idle, wrong):
    requests = [tonearm.TakeRequest(PROMPT, 1, seconds=0.4)]
    assert_refused(idle.generate_batch, **dict(requests=requests) | wrong)


@pytest.mark.parametrize("wrong", cases(**REQUEST))
def test_a_request_refuses_wrong_types(wrong):
    assert_refused(tonearm.TakeRequest, **dict(prompt=PROMPT, seed=1) | wrong)


@pytest.mark.parametrize("wrong", cases(**LEARN))
def test_learn_refuses_wrong_types(idle, wrong):
    arguments = dict(model=idle, positive=["fast"], negative=["slow"], name="tempo")
    assert_refused(tonearm.learn, **arguments | wrong)


@pytest.mark.parametrize("wrong", cases(**LEARN_FROM_AUDIO))
def test_learn_from_audio_refuses_wrong_types(idle, wrong):
    arguments = dict(model=idle, positive=["a.wav"], negative=["b.wav"], name="jazz")
    assert_refused(tonearm.learn_from_audio, **arguments | wrong)


@pytest.mark.parametrize("wrong", cases(**COMPARE))
def test_compare_refuses_wrong_types(idle, wrong):
    idle.vectors["push"] = vector_of(idle, "push")
    arguments = dict(model=idle, prompt=PROMPT, steerings=["push=1"], seconds=0.4)
    assert_refused(tonearm.compare, **arguments | wrong)


@pytest.mark.parametrize("wrong", cases(**LOAD))
def test_load_refuses_wrong_types(idle, wrong):
    assert_refused(tonearm.load, **wrong)


@pytest.mark.parametrize("wrong", cases(**REPLAY))
def test_replay_refuses_wrong_types(idle, wrong, tmp_path):
    assert_refused(tonearm.replay, **dict(sidecar=tmp_path / "take.json") | wrong)


@pytest.mark.parametrize("wrong", cases(**INPUTS))
def test_replay_refuses_inputs_of_wrong_types(melody, wrong, tmp_path):
    audio = Clip(np.sin(np.arange(8000)), 8000)
    take = melody.generate(PROMPT, seconds=0.4, seed=1, continue_from=audio, melody=audio)
    sidecar = take.save(tmp_path / "take.wav")
    assert_refused(tonearm.replay, **dict(sidecar=sidecar, model=melody) | wrong)


@pytest.mark.parametrize("wrong", cases(**SAVE_TAKE))
def test_saving_a_take_refuses_wrong_types(small, wrong, tmp_path):
    take = small.generate(PROMPT, seconds=0.4, seed=1)
    assert_refused(take.save, **dict(path=tmp_path / "take.wav") | wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", [None, *NO_PATH])
def test_saving_a_comparison_refuses_wrong_types(folder):
    assert_refused(Comparison("calm", ()).save, folder=folder)


@pytest.mark.parametrize("wrong", cases(**SAVE_VECTOR))
def test_saving_a_vector_refuses_wrong_types(small, wrong, tmp_path):
    arguments = dict(vector=vector_of(small, "push"), path=tmp_path / "push")
    assert_refused(save_vector, **arguments | wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, *NO_PATH])
def test_loading_a_vector_refuses_wrong_types(path):
    assert_refused(load_vector, path=path)


@pytest.mark.parametrize("name", [None, *NO_TEXT])
def test_a_library_refuses_names_and_vectors_of_wrong_types(small, name):
    vector = vector_of(small, "push")
    assert_refused(small.vectors.__getitem__, name=name)
    assert_refused(lambda: small.vectors.__setitem__(name, vector))
    for wrong in (None, *NO_OBJECT):
        assert_refused(lambda wrong=wrong: small.vectors.__setitem__("push", wrong))
    assert_refused(lambda: small.vectors.__delitem__("absent"))
    assert name.__hash__ is None or name not in small.vectors


@pytest.mark.parametrize("wrong", cases(**TRAIN))
def test_training_a_classifier_refuses_wrong_types(wrong, tmp_path):
    class Embedder:
        def embed(self, clips):
            raise AssertionError("work was begun")

    arguments = dict(name="genre", folders=[tmp_path], embedder=Embedder())
    assert_refused(train_from_folders, **arguments | wrong)


@pytest.mark.parametrize("wrong", cases(**DESCRIBE))
def test_describe_refuses_wrong_types(wrong):
    assert_refused(tonearm.describe, **dict(clip=Clip(np.zeros(800), 1600)) | wrong)


@pytest.mark.parametrize("wrong", cases(**FILES))
def test_measure_files_refuses_wrong_types(wrong):
    assert_refused(tonearm.measure_files, **dict(paths=[Path("a.wav")]) | wrong)


@pytest.mark.parametrize("wrong", cases(**STEER))
def test_a_steer_refuses_wrong_types(wrong):
    assert_refused(Steer, **dict(vector="v") | wrong)


@pytest.mark.parametrize("wrong", cases(**SAMPLING))
def test_sampling_refuses_wrong_types(wrong):
    assert_refused(Sampling, **wrong)


@pytest.mark.parametrize("steers", [3, "tempo=1", [3], [None]])
def test_a_steering_refuses_wrong_types(steers):
    assert_refused(Steering, steers=steers)


@pytest.mark.parametrize("points", [None, 3, "x", [3], [("a", 1)], [(0, 1, 2)]])
def test_a_schedule_refuses_wrong_types(points):
    assert_refused(Schedule, points=points)
    assert_refused(Schedule.window, start="0", end=1)


def test_a_stream_refuses_controls_of_wrong_types(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    stream = melody.stream(PROMPT, steer={"push": "raw:0"}, seconds=0.4)
    for control in (None, 3, "guidance", ("guidance", 2.0), {"target": "mute", "value": 1}):
        assert_refused(stream.set, control=control)
    for vector, strength in [(3, 1.0), (None, 1.0), ("push", "much"), ("push", None)]:
        assert_refused(stream.set_strength, vector=vector, strength=strength)
    for guidance in (None, "much", [3], float("nan")):
        assert_refused(stream.set_guidance, guidance=guidance)
    assert_refused(Control, target=3, value=1)
    assert_refused(Control.strength, vector=3, value=1)


def test_numbers_of_numpy_are_accepted(small):
    plain = small.generate(PROMPT, seconds=0.4, seed=3, guidance=2.0, top_k=20)
    other = small.generate(
        PROMPT,
        seconds=np.float64(0.4),
        seed=np.int64(3),
        guidance=np.float32(2),
        top_k=np.uint8(20),
    )
    assert np.array_equal(plain.codes, other.codes)
    assert plain.provenance.model_dump() == other.provenance.model_dump()
    (batched,) = small.generate_batch(
        (tonearm.TakeRequest(PROMPT, np.int32(3), seconds=0.4) for _ in range(1)),
        batch_size=np.int64(2),
    )
    assert batched.provenance.seed == 3


@pytest.mark.parametrize("use", ["continue_from", "melody"])
def test_audio_may_be_a_take_a_clip_a_path_or_an_array_with_its_rate(melody, tmp_path, use):
    take = melody.generate(PROMPT, seconds=0.8, seed=1)
    path = take.clip.write(tmp_path / "take.wav")
    samples, rate = take.clip.samples, take.clip.sample_rate
    forms = [
        take,
        take.clip,
        path,
        str(path),
        (samples, rate),
        (samples[0], np.int64(rate)),
        (torch.tensor(samples, requires_grad=True), rate),
    ]
    takes = [melody.generate(PROMPT, seconds=0.4, seed=2, **{use: form}) for form in forms]
    assert all(np.array_equal(one.codes, takes[0].codes) for one in takes)


def test_a_sequence_is_any_iterable_but_a_text_or_a_mapping():
    assert boundary.sequence(iter("ab"), "x", boundary.text, "a list") == ["a", "b"]
    with pytest.raises(TonearmError, match=r"x\[1\] 3 is of type int; give a text"):
        boundary.sequence(["a", 3], "x", boundary.text, "a list")
