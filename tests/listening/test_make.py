"""Making a test: one loudness, no clipping, and a page that tells nothing."""

import base64
import json
import re
from hashlib import sha256

import numpy as np
import pytest

from tests.listening.conftest import RATE, noise
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.listening import Design, ListeningTest, make_test, read_key, read_material
from tonearm.listening.stimuli import ANCHOR, Excerpt
from tonearm.processing.low_pass import low_pass
from tonearm.report.page_parts import content_hash

SCRIPT = re.compile(r'tonearmAudio\("([0-9a-f]{12})", "([A-Za-z0-9+/=]+)"\); // -*\n')


def stimuli(made):
    """Clips of the page by name, and the sha256 of each, which equal clips share."""
    clips, digests = {}, {}
    for path in (made.page.parent / "audio").iterdir():
        name, content = SCRIPT.fullmatch(path.read_text()).groups()
        flac = base64.b64decode(content)
        assert path.name == f"{name}.js"
        clips[name], digests[name] = Clip.decode(flac, name), sha256(flac).hexdigest()
        stated = made.key.test.audio[name]  # binds the results to the audio
        assert stated == sha256(name.encode() + flac).hexdigest()
    return clips, digests


@pytest.mark.parametrize("kind", ["abx", "2afc", "mushra"])
def test_all_stimuli_have_one_loudness_and_none_clips(make, kind):
    made = make(kind)
    clips, _ = stimuli(made)
    assert set(clips) == set(made.key.test.audio)
    for clip in clips.values():
        assert clip.loudness == pytest.approx(made.key.test.loudness, abs=0.1)
        assert np.abs(clip.samples).max() < 0.99
    gains = {
        one.condition: one.gain_db
        for trial in made.key.trials.values()
        for one in trial.stimuli.values()
    }
    assert gains["random"] > gains["plain"] > gains["fast"]


@pytest.mark.parametrize("kind", ["abx", "2afc", "mushra"])
def test_neither_the_page_nor_its_files_name_a_condition_or_an_item(make, kind):
    made = make(kind)
    page = made.page.parent
    names = " ".join(str(path.relative_to(page)) for path in page.rglob("*"))
    data = re.search(r'id="test">(.*?)</script>', made.page.read_text())[1]
    for word in ("plain", "fast", "random", "song", "seed", "low-pass"):
        assert word not in names and word not in data
    assert made.key_file.parent == page.parent and "key" not in names
    used = [name for trial in made.key.test.trials for name in trial.stimuli]
    assert len(used) == len(set(used))  # no stimulus returns in another trial


def test_an_own_condition_of_the_anchors_name_is_the_anchor(takes, make):
    for item in range(4):
        noise(0.05, 90 + item).write(takes / ANCHOR / f"song-{item}.wav")
    made = make("mushra", anchor=ANCHOR)
    assert sorted(made.key.conditions) == sorted(["plain", "fast", "random", ANCHOR])
    assert {len(trial.stimuli) for trial in made.key.test.trials} == {4}


@pytest.mark.parametrize("kind", ["abx", "mushra"])
def test_the_source_of_the_page_does_not_show_which_stimuli_are_equal(make, kind):
    made = make(kind)
    _, digests = stimuli(made)
    assert len(set(digests.values())) < len(digests)  # X is A or B; the reference is hidden
    data = json.loads(re.search(r'id="test">(.*?)</script>', made.page.read_text())[1])
    assert len(set(data["audio"].values())) == len(data["audio"]) == len(digests)
    assert not set(digests.values()) & set(re.findall("[0-9a-f]{64}", made.page.read_text()))


def test_the_order_of_stimuli_and_the_sizes_of_files_do_not_depend_on_the_condition(make):
    made = make("abx", repeats=3)
    key = made.key
    first = [key.condition(trial.name, trial.stimuli[0]) for trial in key.test.trials]
    assert 0.2 < np.mean([name == "plain" for name in first]) < 0.8
    sizes = {path.stat().st_size for path in (made.page.parent / "audio").iterdir()}
    assert len(sizes) == 1


def test_the_practice_has_an_item_that_is_not_in_the_test_where_there_is_one(make):
    for items, is_new in ((2, True), (4, False)):
        made = make("abx", items=items)
        _, digests = stimuli(made)
        practised = digests[made.key.test.training.trial.stimuli[0]]
        tested = {digests[name] for trial in made.key.test.trials for name in trial.stimuli}
        assert made.is_practice_new is is_new and (practised not in tested) is is_new


def test_in_abx_x_is_a_copy_of_a_side_and_the_practice_has_the_right_answer(make):
    made = make("abx")
    _, digests = stimuli(made)
    for trial in made.key.test.trials:
        sides, copies = trial.stimuli[:2], trial.stimuli[2:]
        assert {digests[one] for one in sides} == {digests[one] for one in copies}
        for one in copies:
            (side,) = (name for name in sides if digests[name] == digests[one])
            assert made.key.condition(trial.name, side) == made.key.condition(trial.name, one)
    training = made.key.test.training
    assert digests[training.answer] == digests[training.trial.stimuli[training.order[2]]]


def test_mushra_has_a_labelled_and_a_hidden_reference_and_an_anchor(make, takes):
    made = make("mushra")
    _, digests = stimuli(made)
    assert (made.key.reference, made.key.anchor) == ("plain", "random")
    for trial in made.key.test.trials:
        (hidden,) = (one for one in trial.stimuli if made.key.condition(trial.name, one) == "plain")
        assert digests[trial.reference] == digests[hidden] and trial.reference != hidden
    for file in (takes / "random").iterdir():
        file.unlink()
    made = make("mushra")
    assert made.key.anchor == ANCHOR and made.key.conditions == ("plain", "fast", ANCHOR)


def test_the_same_seed_makes_the_same_test_and_another_seed_other_names(make, takes, tmp_path):
    made, again = make("abx"), make("abx")
    assert made.key == again.key
    other = make_test(read_material([takes]), Design("abx", seed=4), tmp_path / "other")
    assert not set(other.key.test.audio) & set(made.key.test.audio)
    assert read_key(made.key_file) == read_key(made.key_file.parent) == made.key
    unseeded = [make_test(read_material([takes]), Design("abx"), tmp_path / n) for n in "ab"]
    assert unseeded[0].key.seed != unseeded[1].key.seed


def test_the_digest_of_a_test_changes_with_its_question_and_its_audio(make, takes):
    first = make("abx").key.test.digest
    assert make("abx", question="Another?").key.test.digest != first
    noise(0.3, 77).write(takes / "fast" / "song-0.wav")
    assert make("abx").key.test.digest != first


def test_stimuli_of_an_item_have_the_length_of_the_shortest_or_of_the_excerpt(make, takes):
    noise(0.1, 5, seconds=0.8).write(takes / "fast" / "song-0.wav")
    made = make("2afc")
    lengths = {
        made.key.trials[trial.name].item: {stimuli_of[name].seconds for name in trial.stimuli}
        for stimuli_of in [stimuli(made)[0]]
        for trial in made.key.test.trials
    }
    assert lengths["song-0"] == {0.8} and lengths["song-1"] == {1.0}
    cut = stimuli(make("2afc", excerpt=Excerpt(0.25, 0.75)))[0].values()
    assert {clip.seconds for clip in cut} == {0.5}
    assert max(abs(clip.samples[0, 0]) for clip in cut) < 1e-3  # faded in


def test_the_policy_of_the_page_allows_its_own_code_alone(make):
    text = make("abx").page.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(script) == len(style) == 1
    assert f"script-src '{content_hash(script[0])}' 'self' file:" in policy
    assert f"style-src '{content_hash(style[0])}'" in policy and "default-src 'none'" in policy
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|style=\"|onclick=\"", text)


def test_texts_of_users_are_escaped(make):
    attack = "</script><script>alert(1)</script>{{ 7 * 7 }}"
    text = make("2afc", question=attack, title=attack).page.read_text()
    assert text.count("<script") == 2 and "{{ 7 * 7 }}" in text


def test_a_test_in_the_folder_is_replaced_and_other_files_are_kept(make):
    made = make("abx")
    results = made.key_file.parent / "results"
    results.mkdir()
    (results / "L1.json").write_text("{}")
    before = set((made.page.parent / "audio").iterdir())
    make("abx", items=2)
    after = set((made.page.parent / "audio").iterdir())
    assert len(after) < len(before) and (results / "L1.json").is_file()


def test_the_low_pass_meets_the_anchor_of_the_recommendation():
    rate, count = 32_000, 32_000
    for hertz, low, high in (
        (1000, -0.1, 0.1),
        (3500, -0.1, 0.1),
        (4000, -200, -25),
        (4500, -200, -50),
    ):
        tone = Clip(0.5 * np.sin(2 * np.pi * hertz * np.arange(count) / rate), rate)
        filtered = low_pass(tone, 3500.0)
        middle = slice(8000, 24_000)
        ratio = np.std(filtered.samples[0, middle]) / np.std(tone.samples[0, middle])
        assert low <= 20 * np.log10(ratio) <= high, hertz
        assert filtered.samples.shape == tone.samples.shape
    with pytest.raises(TonearmError, match="needs a sample rate above 8000 Hz"):
        low_pass(Clip(np.zeros(100), 8000), 3500.0)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("axb", {}, "kind 'axb' is not known; give abx, 2afc, mushra"),
        ("2afc", {"question": " "}, "needs a question"),
        ("abx", {"question": "x" * 301}, "a question of 301 characters is too long"),
        ("abx", {"reference": "slow"}, "no condition 'slow' for the reference"),
        ("abx", {"anchor": "random"}, "kind abx has no anchor"),
        ("mushra", {"anchor": "slow"}, "no condition 'slow' for the anchor"),
        ("mushra", {"anchor": "plain"}, "'plain' is the reference"),
        ("abx", {"pairs": "all"}, "all pairs are compared in a test of kind 2afc"),
        ("2afc", {"question": "?", "pairs": "some"}, "pairs 'some' are not known"),
        ("abx", {"items": 0}, "0 items are not possible"),
        ("abx", {"repeats": 0}, "0 repeats are not possible"),
        ("abx", {"repeats": 99}, "792 trials .* are more than 500"),
        ("abx", {"excerpt": Excerpt(0.9)}, "an excerpt from 0.9 s on needs at least"),
        ("abx", {"seed": -1}, "seed -1 is not possible"),
    ],
)  # fmt: skip
def test_a_design_that_is_not_possible_is_refused(takes, tmp_path, kind, fields, said):
    with pytest.raises(TonearmError, match=said):
        make_test(read_material([takes]), Design(kind, **fields), tmp_path / "test")
    assert not (tmp_path / "test").exists()


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (Clip(np.zeros(RATE), RATE), "is silent in the excerpt"),
        (noise(0.1, 0, seconds=0.2), "needs at least"),
        (Clip(np.random.default_rng(0).uniform(-1, 1, (2, RATE)) / 9, RATE), "2 channels at"),
        (Clip(noise(0.1, 0).samples, 8000), "1 channels at 8000 Hz"),
    ],
)
def test_takes_that_cannot_be_matched_are_refused(make, takes, clip, said):
    clip.write(takes / "fast" / "song-0.wav")
    with pytest.raises(TonearmError, match=said):
        make("abx")


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 1), (float("nan"), 1)])
def test_an_excerpt_that_is_not_possible_is_refused(start, end):
    with pytest.raises(TonearmError, match="an excerpt from"):
        Excerpt(start, end)


def test_a_key_of_an_earlier_format_is_read_with_its_digest(make):
    made = make("abx")
    content = json.loads(made.key_file.read_text())
    content["test"]["format"] = 1
    made.key_file.write_text(json.dumps(content))
    earlier = ListeningTest.model_validate(content["test"])
    assert read_key(made.key_file).test.digest == earlier.digest != made.key.test.digest
    content["test"]["format"] = 3
    made.key_file.write_text(json.dumps(content))
    with pytest.raises(TonearmError, match=r"test\.format"):
        read_key(made.key_file)


def test_an_invalid_key_is_refused(make, tmp_path):
    made = make("abx")
    content = json.loads(made.key_file.read_text())
    del content["trials"][next(iter(content["trials"]))]
    made.key_file.write_text(json.dumps(content))
    with pytest.raises(TonearmError, match="the key and the test have different trials"):
        read_key(made.key_file)
    with pytest.raises(TonearmError, match="no key of a listening test at"):
        read_key(tmp_path / "nowhere")
