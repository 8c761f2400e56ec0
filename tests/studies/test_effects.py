"""Report of the effects study: planted effects, costs, controls and statements are found."""

import pytest

from tests.studies.planted import PROMPTS, RANDOM_PROMPTS, planted_records, vectors_of
from tonearm.errors import TonearmError
from tonearm.stats.effect import Effect
from tonearm.studies.effects_analysis import analyse
from tonearm.studies.effects_claims import moved_tags
from tonearm.studies.effects_conditions import RANDOM_SEEDS, conditions
from tonearm.studies.effects_page import write_page
from tonearm.studies.effects_random import Spread, spreads
from tonearm.studies.effects_readme import readme_parts, write_readme
from tonearm.studies.effects_rows import FAULTS, fault_kind
from tonearm.studies.records import records_of

NAMES = ("tempo", "brightness", "both", "vectors", "claims")
README = "# Title\n" + "between\n".join(
    f"<!-- effects-{name}: begin -->\nold\n<!-- effects-{name}: end -->\n" for name in NAMES
)


def gains(name: str) -> dict[str, float]:
    """Tempo ±1 moves BPM and onsets by 20 %, ±0.5 by 10 %; brightness the centroid and onsets."""
    sign = -1 if "-" in name else 1
    half = 0.5 if name.endswith("0.5") else 1.0
    if name.startswith("tempo") and not name.endswith("raw"):
        change = 1 + 0.2 * sign * half
        return {
            **dict.fromkeys(("tempo", "bundled_tempo", "onset_rate"), change),
            **{"pulse_clarity": 0.9, "clap_score": -0.1, "fast": 3.0 if sign > 0 else 1.0},
        }
    if name.startswith("brightness") and not name.endswith("raw"):
        return {"spectral_centroid": 1 + 0.5 * sign * half, "onset_rate": 1.3}
    if name.startswith("shelving"):
        return {"spectral_centroid": 1 + 0.5 * sign}
    if name == "density+1":
        return {"onset_rate": 1.4}
    return {"word-fast": {"tempo": 1.3, "onset_rate": 1.2}}.get(name, {})


@pytest.fixture
def vectors(melody):
    return vectors_of(melody)


@pytest.fixture
def records(vectors) -> list[dict]:
    return planted_records(vectors, gains)


@pytest.fixture
def results(records, vectors):
    return analyse(records, vectors)


def test_rows_have_the_planted_effects_beats_and_faults(results, vectors):
    rows = {row.condition.name: row for row in results.rows}
    assert rows.keys() == {one.name for one in conditions(vectors)} | {
        "shelving+",
        "shelving-",
        "stretch+",
        "stretch-",
    }
    order = [row.condition.name for row in results.group("brightness")]
    assert order[-2:] == ["shelving+", "shelving-"] and order[0] == "brightness+1"
    up = rows["tempo+1"]
    for measure in ("tempo", "bundled_tempo", "onset_rate"):
        assert up.effects[measure].change == pytest.approx(0.2, abs=0.01)
    assert rows["tempo-0.5"].effects["onset_rate"].change == pytest.approx(-0.1, abs=0.01)
    assert up.effects["tempo"].n == up.counts.confirmed["tempo"] == PROMPTS - 1
    assert up.counts.confirmed["bundled_tempo"] == PROMPTS
    assert up.effects["pulse_clarity"].change == pytest.approx(-0.1, abs=0.01)
    assert up.effects["clap_score"].change == pytest.approx(-0.1, abs=0.02)
    assert (up.counts.faulty, up.counts.faults) == (1, {"no pulse": 1, "held tone": 1}) or (
        up.counts.faults == {"held tone": 1, "no pulse": 1}
    )
    assert results.plain.counts.faulty == 0
    contrast = {(one.more, one.less): one.effects for one in results.contrasts}
    assert contrast["tempo +1", "tempo -1"]["onset_rate"].change == pytest.approx(0.5, abs=0.02)
    assert len(contrast) == 8


def test_other_vectors_have_the_measure_of_their_calibration_or_the_reason(results):
    (density,) = results.vectors
    assert (density.vector, density.sign, density.measure) == ("density", "+", "onset_rate")
    assert density.change.change == pytest.approx(0.4, abs=0.01)
    assert density.moves_it(density.change) and len(density.processed) == 4
    assert results.failures == (("density", "-", "faults in 40% of takes"),)
    vectors = "\n".join(readme_parts(results)["vectors"])
    assert "| density +1 | onset_rate | +40% [" in vectors
    assert "| density -1 |  | fails: faults in 40% of takes |" in vectors


def test_statements_are_those_that_the_records_show(results, records, vectors):
    text = "\n".join(results.claims)
    assert (
        "Only brightness +1 and not the shelving filter +12.5 dB moves onsets per s (+30% [" in text
    )
    assert "Amounts are graded, words are not: tempo +0.5 moves onsets per s by +10%" in text
    assert "brightness -0.5 moves spectral centroid, Hz by -25%" in text
    assert "The time stretch turns 10 s of music into 8.0 s" in text
    assert "tempo +1 1, and it alone fast +0.2" in text
    assert "No filter and no time stretch of this study moves the measure of these in the" in text

    flat = planted_records(vectors, lambda name: {"spectral_centroid": 1.5} if "+" in name else {})
    claims = "\n".join(analyse(flat, vectors).claims)
    assert (
        "Amounts are graded" not in claims and "Only brightness +1 and not the high" not in claims
    )
    assert "signs of the other vectors move" not in claims


def test_tags_that_move_are_found_and_others_are_not(records):
    plain, fast = (records_of(records, name) for name in ("plain", "tempo+1"))
    assert moved_tags(plain, fast) == pytest.approx({"fast": 0.2}, abs=0.01)
    assert moved_tags(plain, [{**take, "tags": None} for take in fast]) == {}


def test_spreads_have_every_direction_and_count_those_that_move_as_far(results):
    found = {(one.attribute, one.sign, one.measure): one for one in results.spreads}
    up = found["tempo", "+", "onset_rate"]
    assert up.directions.keys() == set(RANDOM_SEEDS["tempo"])
    assert up.directions[14].change == pytest.approx(0.12, abs=0.01)
    assert up.vector.change == pytest.approx(0.2, abs=0.01) and up.vector.n == RANDOM_PROMPTS
    assert up.mean == pytest.approx(0.03 * 4.5, abs=0.01) and up.exceedance == 3  # 21, 24 and 27 %
    assert found["tempo", "-", "onset_rate"].exceedance == 0
    contrast = found["tempo", "±", "onset_rate"]
    assert contrast.changes == pytest.approx([0.0] * 10, abs=0.01) and contrast.exceedance == 0
    (row,) = [one for one in results.random if (one.attribute, one.sign) == ("tempo", "+")]
    assert row.counts.takes == 10 * RANDOM_PROMPTS and row.counts.faulty == 10


def test_a_measure_of_under_two_takes_has_no_spread(records):
    for record in records:
        if record["setting"].startswith("random-") and record["prompt"] != 1:
            record["tempo"] = {"value": None}
    measures = {one.measure for one in spreads(records)}
    assert "tempo" not in measures and "bundled_tempo" in measures


def test_exceedance_counts_in_the_sense_of_the_vector_and_contrasts_in_both():
    def change(value: float) -> Effect:
        return Effect(1.0, 1.0, 1.0, value, value, value, 0.1, 10)

    def spread(sign: str, vector: float, *others: float) -> Spread:
        directions = {seed: change(one) for seed, one in enumerate(others)}
        return Spread("tempo", sign, "onset_rate", change(vector), directions)

    assert spread("+", 0.3, 0.4, 0.3, -0.5).exceedance == 2
    assert spread("-", -0.3, -0.4, 0.5, -0.2).exceedance == 1
    assert spread("±", 1.0, -0.5, 0.9, 1.5, -1.0).exceedance == 3  # half is as far as twice


def test_results_need_takes_without_steering(records, vectors):
    steered = [record for record in records if record["setting"] != "plain"]
    with pytest.raises(TonearmError, match="no takes without steering"):
        analyse(steered, vectors)


def test_every_fault_of_the_measures_has_a_kind():
    words = [
        "3 samples are NaN or infinite",
        "no samples",
        "silent",
        "2 % of samples clipped",
        "silent 60 % of the time",
        "DC offset 0.1 of full scale",
        "a tone held for 6.0 s (limit 5.5 s)",
        "40 % of tonal energy in held tones (limit 30 %)",
        "static spectrum for 10.0 s (limit 10 s)",
        "no pulse: clarity 0.10 (limit 0.2)",
    ]
    assert {fault_kind(one) for one in words} == set(FAULTS.values())
    with pytest.raises(ValueError, match="no known kind"):
        fault_kind("too beautiful")


def test_the_page_has_every_condition_direction_and_figure(
    records, results, melody, tmp_path, vectors
):
    write_page(records, results, melody, 1.0, tmp_path / "docs")
    page = (tmp_path / "docs" / "effects.md").read_text()
    assert all(f"| {condition.label} |" in page for condition in conditions(vectors))
    assert "| shelving filter +12.5 dB |" in page and "| time stretch x 1.25 |" in page
    assert "| tempo +1 | 1 of 6 | " in page and melody.shape.fingerprint in page
    rows = [line for line in page.splitlines() if line.startswith("| onsets per s | +1 |")]
    assert len(rows) == 2
    assert all("| +3% | +6% | +9% | +12% | +15% | +18% | +21% | +24% |" in row for row in rows)
    assert "| 10 random directions, brightness +1 |" in page and all(
        one in page for one in results.claims
    )
    for picture in ("effects.png", "effects-costs.png", "effects-random.png"):
        assert (tmp_path / "docs" / picture).stat().st_size > 10_000 and f"({picture})" in page


def test_the_parts_of_the_readme_are_replaced_between_their_marks(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(README + "after\n")
    write_readme(readme, results)
    text = readme.read_text()
    assert "old" not in text and text.startswith("# Title\n") and text.endswith("\nafter\n")
    parts = {
        name: text.split(f"<!-- effects-{name}: begin -->\n")[1]
        .split(f"\n<!-- effects-{name}: end -->")[0]
        .splitlines()
        for name in NAMES
    }
    assert parts == readme_parts(results)
    assert all(len({row.count("|") for row in parts[name]}) == 1 for name in NAMES[:4])
    tempo = "\n".join(parts["tempo"])
    assert "| **tempo +1** | +20% [" in tempo and "(5 of 6)" in tempo and "0.90 [0." in tempo
    assert "| 10 random directions, tempo -1 |" in tempo and '| word "slow" |' in tempo
    assert len(parts["tempo"]) == 2 + 1 + 4 + 2 + 2 + 2  # amounts, words, stretches, random
    write_readme(readme, results)
    assert readme.read_text() == text
    readme.write_text("# Title\n")
    with pytest.raises(TonearmError, match="has no marks"):
        write_readme(readme, results)
