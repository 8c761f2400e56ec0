"""The gallery: its plan, its page and files, and the measured values on it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.report.test_comparison_page import ATTACK, Page
from tests.steering.vectors import vector_of
from tonearm.assets import POCKET_VECTORS
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_spectral_centroid
from tonearm.report import gallery_page
from tonearm.report.gallery_page import MAX_BYTES, write_gallery_page
from tonearm.steering import (
    Calibration,
    Evidence,
    SignCalibration,
    SteeringVector,
    load_vector,
)
from tonearm.studies import gallery
from tonearm.studies.effects_run import groups_of
from tonearm.studies.gallery import GROUPS, number_of
from tonearm.studies.gallery_plan import FIRST_SEED, neutral_prompt, plan, with_word
from tonearm.studies.measure_groups import LOADERS, NUMBERS, Group, group, with_groups_of

PROMPTS = (
    f"A jazz piece {ATTACK}",
    "A bright folk tune",
    "A folk tune with flute",
    "A jazz tune with piano",
    "A piece with piano",
)


def passing(measure: str, effect: float) -> SignCalibration:
    low, high = sorted((0.8 * effect, 1.2 * effect))
    evidence = Evidence(
        measure=measure,
        plain=1.0,
        steered=1 + effect,
        effect=effect,
        low=low,
        high=high,
        faulty_plain=0.08,
        faulty_steered=0.1,
        pulse_ratio=0.95,
        text_loss=0.01,
        prompts=25,
    )
    return SignCalibration(strength=0.5, evidence=evidence)


def calibrated(
    vector: SteeringVector, positive: SignCalibration, negative: SignCalibration
) -> SteeringVector:
    calibration = Calibration(positive=positive, negative=negative)
    return SteeringVector(
        vector.directions, vector.info.model_copy(update={"calibration": calibration})
    )


@pytest.fixture
def vectors(melody) -> dict[str, SteeringVector]:
    """brightness passes at both signs, tempo at one, jazz is not calibrated."""
    labels = {
        "brightness": {"positive_label": "bright", "negative_label": "dark"},
        "tempo": {"positive_label": "fast", "negative_label": "slow"},
        "jazz": {"positive_label": "jazz", "negative_label": "other genres"},
    }
    made = {name: vector_of(melody, name, **labels[name]) for name in labels}
    made["brightness"] = calibrated(
        made["brightness"], passing("spectral_centroid", 0.6), passing("spectral_centroid", -0.5)
    )
    made["tempo"] = calibrated(
        made["tempo"], passing("onset_rate", 0.4), SignCalibration(failure=f"no effect {ATTACK}")
    )
    return made


def not_run(record):
    """Loads a group that gives every take one record, in place of an evaluator."""
    return lambda: Group("x", "not run", False, lambda requests: [record for _ in requests])


@pytest.fixture
def folder(melody, vectors, tmp_path, monkeypatch) -> Iterator[Path]:
    """A gallery of takes of 1 s from random weights."""
    monkeypatch.setitem(
        LOADERS, "beats", not_run({"bundled_tempo": {"value": None, "protocol": "not run"}})
    )
    monkeypatch.setitem(LOADERS, "clap", not_run({"embedder": "not run"}))
    monkeypatch.setitem(LOADERS, "tags", not_run({}))
    group.cache_clear()
    monkeypatch.setattr("tonearm.processing.shelf.CORNER", 400.0)  # takes of 1600 Hz
    yield gallery.build(melody, vectors, PROMPTS, tmp_path / "gallery", seconds=1).parent
    group.cache_clear()


def test_the_page_has_every_passing_sign_the_reasons_of_the_others_and_all_files(folder):
    page = Page(folder / "index.html")
    titles = re.findall(r"<h3[^>]*>([^<]*)</h3>", page.source)
    assert titles == [
        "brightness +, bright",
        "brightness −, dark",
        "tempo +, fast",
        "tempo + and brightness −",
    ]
    assert "tempo − (slow) fails: no effect" in page.text
    for failed in ("jazz + (jazz)", "jazz − (other genres)"):
        assert f"{failed} –" in page.text
    assert page.text.count("the vector is not calibrated") == 2
    # plain takes; three amounts, word and processed take of three signs; three amounts and word
    sources = page.values("audio", "src")
    assert len(sources) == len(set(sources)) == 3 + 3 * 5 + 4
    assert not [source for source in sources if "jazz" in source or "tempo-minus" in source]
    assert {*sources, *page.values("img", "src"), "index.html", "manifest.json"} == {
        path.name for path in folder.iterdir()
    }
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_BYTES
    labels = page.values("audio", "aria-label")
    assert len(labels) == len(set(labels)) == len(sources)

    assert "no take was selected by listening" in page.text.lower()
    anchors = [href[1:] for href in page.values("a", "href")]
    assert len(anchors) == 3
    for tag in ("h2", "h3"):
        anchors = [anchor for anchor in anchors if anchor not in page.values(tag, "id")]
    assert not anchors

    # texts are escaped, nothing comes from elsewhere, and the one script is the page's own
    assert ATTACK in page.text and len(page.code["script"]) == 1
    assert not any(name.startswith("on") for _, given in page.elements for name in given)
    assert not re.search(r"https?:|url\(|@import", page.source)

    # decoded copies have one loudness and no clipping
    copies = [Clip.read(folder / source) for source in sources]
    assert max(float(np.abs(copy.samples).max()) for copy in copies) <= 1
    levels = [copy.loudness for copy in copies]
    assert max(levels) - min(levels) < 0.5

    manifest = json.loads((folder / "manifest.json").read_text())
    assert [take["file"] for take in manifest["takes"]] == sources
    seeds = {take["section"]: take["seed"] for take in manifest["takes"]}
    assert list(seeds.values()) == [FIRST_SEED, FIRST_SEED + 2, FIRST_SEED + 3]
    steered = next(take for take in manifest["takes"] if take["file"] == "brightness-minus-3.ogg")
    assert steered["steering"]["steers"] == [{"vector": "brightness", "amount": -1.0}]


def test_takes_of_a_section_share_prompt_and_seed_and_differ_in_steering(vectors):
    sections = plan(vectors, PROMPTS)
    assert [section.name for section in sections] == [
        "brightness",
        "tempo",
        "tempo-plus-brightness-minus",
    ]
    first = sections[0]
    amounts = [take.steering.steers[0].amount for take in first.takes if take.kind == "steered"]
    assert amounts == pytest.approx([1 / 3, 2 / 3, 1, -1 / 3, -2 / 3, -1])
    words = [take.text for take in first.takes if take.stem.endswith("-word")]
    assert words == [with_word(first.prompt, word) for word in ("bright", "dark")]
    fused = sections[-1].takes
    assert [one.amount for one in fused[3].steering.steers] == [1, -1]
    assert fused[4].text == with_word(sections[-1].prompt, "fast dark")


def test_signal_processing_has_the_mean_effect_of_amount_1(vectors):
    noise = Clip(np.random.default_rng(0).normal(size=64_000) * 0.1, 32_000)
    brightness, tempo, _ = plan(vectors, PROMPTS)
    processed = {
        take.stem: take.process(noise)[0]
        for take in (*brightness.takes, *tempo.takes)
        if take.process
    }
    plain = measure_spectral_centroid(noise).number
    darker = measure_spectral_centroid(processed["brightness-minus-processed"]).number
    assert darker / plain == pytest.approx(0.5, rel=0.02)
    assert processed["tempo-plus-processed"].seconds == pytest.approx(2 / 1.4, rel=0.01)


def test_a_prompt_that_names_a_pole_is_passed_over(vectors):
    assert neutral_prompt(PROMPTS, 1, [vectors["brightness"]]) == PROMPTS[2]
    assert neutral_prompt(PROMPTS, 3, [vectors["jazz"]]) == PROMPTS[4]
    assert neutral_prompt(["jazz", "more jazz"], 1, [vectors["jazz"]]) == "more jazz"
    used = {PROMPTS[2]}
    assert neutral_prompt(PROMPTS, 1, [vectors["brightness"]], used) == PROMPTS[3]


def test_a_gallery_without_a_passing_sign_or_with_too_few_prompts_is_refused(vectors):
    with pytest.raises(TonearmError, match="tonearm calibrate"):
        plan({"jazz": vectors["jazz"]}, PROMPTS)
    with pytest.raises(TonearmError, match="2 prompts are too few"):
        plan(vectors, PROMPTS[:2])


def test_takes_that_do_not_fit_the_folder_are_refused(vectors, tmp_path):
    noise = Clip(np.random.default_rng(0).normal(size=32_000) * 0.1, 32_000)
    take = gallery_page.GalleryTake("a", "plain", "a", "a", "", noise, (), ("silent",))
    section = gallery_page.GallerySection("s", "s", "a tune", 1, take, ())
    page = gallery_page.Gallery({}, (), (), (section,), {})
    with pytest.raises(TonearmError, match="do not fit"):
        write_gallery_page(tmp_path, page, max_bytes=1000)
    assert not list(tmp_path.iterdir())
    write_gallery_page(tmp_path, page)
    assert "faulty silent" in re.sub(
        r"<[^>]*>", " ", (tmp_path / "index.html").read_text()
    ).replace("  ", " ")


def test_every_measure_of_a_calibration_is_measured_and_shown():
    """Those of the bundled vectors, too: their takes are measured before the page is made."""
    for measure in NUMBERS:
        assert number_of(measure).heading
    vectors = {path.stem: load_vector(path) for path in POCKET_VECTORS.glob("*.safetensors")}
    signs = [
        getattr(one.info.calibration, sign)
        for one in vectors.values()
        for sign in ("positive", "negative")
    ]
    measures = {sign.evidence.measure for sign in signs if sign.evidence}
    assert "high_onset_level" in measures
    needed = set(with_groups_of((), measures))
    assert needed <= set(GROUPS) and needed <= set(groups_of(vectors))
    assert {number_of(measure).heading for measure in measures}
