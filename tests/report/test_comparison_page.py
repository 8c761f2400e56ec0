"""Comparison page: one file without external content, planted values, takes at one loudness."""

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import Description, KeyEstimate, Measurement, TempoEstimate
from tonearm.report.comparison_page import COLUMNS, Exhibit, table_cell, write_compare_page
from tonearm.report.levels import PEAK, common_loudness
from tonearm.report.page_parts import Cell

SAMPLE_RATE = 16_000
PROMPT = "a slow folk tune"
ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'


class Page(HTMLParser):
    """Parsed page: elements as (tag, attributes), visible text, text of scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.code.get(self._inside, self.texts).append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def values(self, tag: str, attribute: str) -> list[str]:
        return [
            attributes[attribute]
            for name, attributes in self.elements
            if name == tag and attribute in attributes
        ]

    def embedded(self, tag: str) -> list[bytes]:
        return [base64.b64decode(uri.partition(";base64,")[2]) for uri in self.values(tag, "src")]


def noise(gain: float, seconds: float = 1.0, seed: int = 0) -> Clip:
    samples = np.random.default_rng(seed).uniform(-gain, gain, int(seconds * SAMPLE_RATE))
    return Clip(samples, SAMPLE_RATE)


def silence(seconds: float = 1.0) -> Clip:
    return Clip(np.zeros(int(seconds * SAMPLE_RATE)), SAMPLE_RATE)


def description_of(
    bpm: float | None = 100.0,
    centroid_hz: float | None = 1000.0,
    lufs: float | None = -20.0,
    onsets: float | None = 2.0,
    faults: tuple[str, ...] = (),
    clarity: float | None = 0.5,
) -> Description:
    tempo = TempoEstimate(bpm, bpm, None, () if bpm is None else (0.25, 0.75), "planted")
    measurements = (
        *tempo.measurements,
        Measurement("pulse_clarity", clarity, "0..1", "planted clarity"),
        Measurement("spectral_centroid", centroid_hz, "Hz", "planted centroid"),
        Measurement("loudness", lufs, "LUFS", "planted loudness"),
        Measurement("onset_rate", onsets, "1/s", "planted onsets"),
    )
    return Description(1.0, measurements, tempo, KeyEstimate(None, None, None), faults)


PLAIN = Exhibit("plain", noise(0.1), description_of(), "plain.wav", "plain.json")
STEERED = Exhibit(
    "tempo +1.25",
    noise(0.5, seed=1),
    description_of(125.0, 900.0, -14.0, 2.0),
    "tempo +1.25.wav",
    "tempo +1.25.json",
)


def write(folder: Path, *exhibits: Exhibit, prompt: str = PROMPT) -> Page:
    return Page(
        write_compare_page(
            folder, prompt, exhibits or (PLAIN, STEERED), {"model": "pocket", "seed": "7"}
        )
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Two takes, plain and steered."""
    return write(tmp_path_factory.mktemp("page"))


def cells(description: Description, first: Description) -> dict[str, Cell]:
    return {column.heading: table_cell(column, description, first) for column in COLUMNS}


def test_the_page_is_one_file(tmp_path: Path) -> None:
    page = write(tmp_path / "new" / "folder")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["index.html"]
    sources = [
        value
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name == "src"
    ]
    assert len(sources) == 4
    assert all(source.startswith("data:") for source in sources)
    assert all(href.startswith("data:") for href in page.values("link", "href"))
    assert not re.search(
        r"@import|url\(|https?:", "".join(page.code["style"] + page.code["script"])
    )
    assert not any(
        value.startswith(("http", "//"))
        for _, attributes in page.elements
        for value in attributes.values()
    )


def test_the_policy_forbids_the_network_and_foreign_scripts(page: Page) -> None:
    policy = next(content for content in page.values("meta", "content") if "default-src" in content)
    (script,) = page.code["script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert "http" not in policy


def test_links_lead_to_the_originals_and_their_sidecars(tmp_path: Path) -> None:
    bare = replace(PLAIN, sidecar_file=None, audio_file="javascript:alert(1)")
    page = write(tmp_path, bare, STEERED)
    links = [href for href in page.values("a", "href") if not href.startswith("#")]
    assert links == ["javascript%3Aalert%281%29", "tempo%20%2B1.25.wav", "tempo%20%2B1.25.json"]


def test_every_given_text_is_escaped(tmp_path: Path, page: Page) -> None:
    faulty = replace(STEERED, title=ATTACK, description=description_of(faults=(ATTACK,)))
    attacked = Page(write_compare_page(tmp_path, ATTACK, [PLAIN, faulty], {ATTACK: ATTACK}))
    for tag in ("script", "img"):
        assert [name for name, _ in attacked.elements].count(tag) == [
            name for name, _ in page.elements
        ].count(tag)
    assert not any(
        name.startswith("on") for _, attributes in attacked.elements for name in attributes
    )
    assert (
        attacked.text.count(ATTACK) >= 7
    )  # title, heading, term and value, take thrice, fault twice


def test_the_page_names_prompt_details_takes_and_maker(page: Page) -> None:
    for words in (
        "“a slow folk tune”",
        "model pocket",
        "seed 7",
        "1 plain",
        "2 tempo +1.25",
        "made with Tonearm 0.",
    ):
        assert words in page.text
    assert page.values("button", "aria-pressed") == [
        "false",
        "true",
        "false",
    ]  # loop, and the two takes


def test_an_empty_prompt_is_labelled(tmp_path: Path) -> None:
    assert "No prompt" in write(tmp_path, prompt="").text


def test_differences_are_from_the_first_take() -> None:
    first = description_of(bpm=100.0, centroid_hz=1000.0, lufs=-20.0, onsets=2.0)
    other = description_of(bpm=125.0, centroid_hz=900.0, lufs=-14.0, onsets=2.0)
    assert cells(first, first) == {
        "Tempo": Cell("100.0", ""),
        "Pulse clarity": Cell("0.50", ""),
        "Brightness": Cell("1000", ""),
        "Loudness": Cell("−20.0", ""),
        "Onsets": Cell("2.00", ""),
    }
    assert cells(other, first) == {
        "Tempo": Cell("125.0", "+25.0 %"),
        "Pulse clarity": Cell("0.50", "±0.0 %"),
        "Brightness": Cell("900", "−10.0 %"),
        "Loudness": Cell("−14.0", "+6.0 LU"),
        "Onsets": Cell("2.00", "±0.0 %"),
    }


def test_an_undefined_value_is_a_dash() -> None:
    nothing = description_of(None, None, None, None, clarity=None)
    assert set(cells(nothing, description_of()).values()) == {Cell("–", "")}
    assert cells(description_of(bpm=100.0), nothing)["Tempo"] == Cell("100.0", "–")
    assert cells(description_of(onsets=2.0), description_of(onsets=0.0))["Onsets"] == Cell(
        "2.00", "–"
    )


def test_the_table_shows_values_differences_faults_and_protocols(tmp_path: Path) -> None:
    faulty = replace(STEERED, description=description_of(125.0, faults=("2 % of samples clipped",)))
    text = write(tmp_path, PLAIN, faulty).text
    assert "125.0 +25.0 %" in text
    assert text.count("2 % of samples clipped") == 2
    for protocol in ("beats by planted", "planted centroid", "planted loudness", "planted onsets"):
        assert protocol in text


def test_two_estimators_in_one_column_are_both_named(tmp_path: Path) -> None:
    another = Measurement("spectral_centroid", 1.0, "Hz", "another centroid")
    other = replace(
        STEERED.description,
        measurements=(
            *STEERED.description.measurements[:5],
            another,
            *STEERED.description.measurements[6:],
        ),
    )
    page = write(tmp_path, PLAIN, replace(STEERED, description=other))
    assert "planted centroid / another centroid" in page.text


def test_beats_are_marked_at_their_times(page: Page) -> None:
    paths = [path for path in page.values("path", "d") if path.endswith("0v1")]
    assert set(paths) == {"M0.25000 0v1M0.75000 0v1"}


def test_the_copies_are_as_long_as_the_originals_and_equally_loud(page: Page) -> None:
    copies = [Clip(samples.T, rate) for samples, rate in map(_decode, page.embedded("audio"))]
    assert [copy.samples.shape for copy in copies] == [
        PLAIN.clip.samples.shape,
        STEERED.clip.samples.shape,
    ]
    assert [copy.sample_rate for copy in copies] == [SAMPLE_RATE, SAMPLE_RATE]
    assert copies[0].loudness == pytest.approx(copies[1].loudness, abs=0.5)
    assert f"{copies[0].loudness:.1f}".replace("-", "−") + " LUFS" in page.text


def test_a_peaky_take_lowers_the_common_loudness(tmp_path: Path) -> None:
    samples = noise(0.01).samples.copy()
    samples[0, 5000] = 1.0
    peaky = replace(STEERED, clip=Clip(samples, SAMPLE_RATE))
    copies = [
        Clip(samples.T, rate)
        for samples, rate in map(_decode, write(tmp_path, PLAIN, peaky).embedded("audio"))
    ]
    assert max(np.abs(copy.samples).max() for copy in copies) <= PEAK + 1e-3
    assert copies[0].loudness == pytest.approx(copies[1].loudness, abs=0.5)
    assert copies[0].loudness < -30


def test_every_clip_reaches_the_common_loudness() -> None:
    loud, quiet = noise(1.0), noise(0.01, seed=1)
    target = common_loudness([loud, quiet, silence()])
    assert target is not None
    for clip in (loud, quiet):
        assert clip.loudness_matched(target, PEAK).loudness == pytest.approx(target, abs=0.01)
    assert common_loudness([silence(), noise(0.5, seconds=0.1)]) is None


def test_silent_takes_are_not_scaled(tmp_path: Path) -> None:
    mute = Exhibit(
        "tempo +40",
        silence(),
        description_of(None, None, None, None, ("silent",)),
        "mute.wav",
        None,
    )
    page = write(tmp_path / "one", PLAIN, mute)
    assert "too quiet or too short to match" in page.text
    assert not _decode(page.embedded("audio")[1])[0].any()
    assert "played as they are" in write(tmp_path / "all", mute, mute).text


def test_broken_samples_are_played_as_silence(tmp_path: Path) -> None:
    samples = noise(0.1).samples.copy()
    samples[0, 100:200] = np.nan
    samples[0, 300] = np.inf
    broken = replace(STEERED, clip=Clip(samples, SAMPLE_RATE))
    page = write(tmp_path, PLAIN, broken)
    assert "too quiet" not in page.text
    copy, _ = _decode(page.embedded("audio")[1])
    assert not copy[100:200].any() and not copy[300].any()
    assert copy[400:].any()


def test_stereo_and_takes_of_unequal_length(tmp_path: Path) -> None:
    pair = Clip(np.concatenate([noise(0.1).samples, noise(0.1, seed=2).samples]), SAMPLE_RATE)
    page = write(
        tmp_path, replace(PLAIN, clip=pair), replace(STEERED, clip=noise(0.2, seconds=1.5))
    )
    shapes = [_decode(audio)[0].shape for audio in page.embedded("audio")]
    assert shapes == [(SAMPLE_RATE, 2), (SAMPLE_RATE * 3 // 2, 1)]
    assert page.values("body", "data-seconds") == ["1.5"]


def test_writing_again_replaces_the_whole_page(tmp_path: Path, page: Page) -> None:
    longer = write(tmp_path, PLAIN, STEERED, STEERED, prompt="another prompt")
    again = write(tmp_path)
    assert len(again.source) < len(longer.source)
    assert again.source == page.source


@pytest.mark.parametrize(
    "exhibits", [[], [replace(PLAIN, clip=Clip(np.empty((1, 0)), SAMPLE_RATE))]]
)
def test_takes_without_samples_are_refused(tmp_path: Path, exhibits: list[Exhibit]) -> None:
    with pytest.raises(TonearmError, match="no sound"):
        write_compare_page(tmp_path, PROMPT, exhibits, {})
    assert not list(tmp_path.iterdir())


def _decode(flac: bytes) -> tuple[np.ndarray, int]:
    """float [samples, channels], and Hz."""
    return soundfile.read(io.BytesIO(flac), always_2d=True)
