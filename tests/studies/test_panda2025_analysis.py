"""Analysis of the Panda study: planted effects, choices and similarities are found, and nothing else."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tonearm.stats.effect import effect
from tonearm.studies.label_scores import Classifier, LabelTexts, embedding, tag_logits
from tonearm.studies.panda2025.analysis import analyse
from tonearm.studies.panda2025.choices import Choice, chosen
from tonearm.studies.panda2025.claims import (
    as_large,
    both_sites,
    fusion,
    mse_against_bce,
    mse_against_means,
    points,
    timbre,
)
from tonearm.studies.panda2025.clip_analysis import transfers
from tonearm.studies.panda2025.design import GENRE_PAIRS, LEADS, genre_pairs, prompts_of
from tonearm.studies.panda2025.rows import Spread, row_of
from tonearm.studies.panda2025.scores import Scorer
from tonearm.studies.panda2025.variants import best_layer, every_layer, pair_vector

PROMPTS = 12
LABELS = ("jazz", "rock", "folk")
TEXTS = LabelTexts(LABELS, np.eye(3), 4.0)  # the text of a label is its own axis
PAIR = genre_pairs(LABELS)[0]  # rock to jazz


def take(prompt, jazz=0.0, *, text=0.3, faulty=False, seed=0, **facts):
    """A take of rock that leans to jazz by some cosine."""
    rng = np.random.default_rng([seed, prompt])
    row = np.array([jazz, 0.8, 0.0]) + 0.02 * rng.normal(size=3)
    return {
        "prompt": prompt,
        "embedding": row.tolist(),
        "embedder": "planted",
        "clap_score": {"value": text + 0.01 * rng.normal()},
        "faulty": faulty,
        "source": "rock",
        **facts,
    }


def takes(jazz=0.0, **facts):
    return [take(prompt, jazz, **facts) for prompt in range(PROMPTS)]


PLAIN = takes(experiment="plain", split="neutral")


def test_a_pair_score_is_relative_and_a_cosine_is_not():
    one, fallen = take(0, 0.3), take(0, 0.3)
    fallen["embedding"][1] = 0.0  # the source falls, and the target stays
    for record in (one, fallen):
        both = [TEXTS.probability(record, label, ("rock", "jazz")) for label in ("rock", "jazz")]
        assert sum(both) == pytest.approx(1)
    assert TEXTS.probability(fallen, "jazz", ("rock", "jazz")) > TEXTS.probability(
        one, "jazz", ("rock", "jazz")
    )
    assert TEXTS.cosine(fallen, "jazz") == TEXTS.cosine(one, "jazz")
    assert TEXTS.probability(one, "Jazz") < TEXTS.probability(one, "jazz", ("rock", "jazz"))
    silent = {**one, "embedding": None}
    assert TEXTS.cosine(silent, "jazz") is None is TEXTS.probability(silent, "jazz")


def pieces(gap, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "genre": label,
            "embedding": (gap * np.eye(3)[LABELS.index(label)] + rng.normal(size=3)).tolist(),
            "tags": dict(zip("abc", rng.uniform(size=3).tolist(), strict=True)),
        }
        for _ in range(20)
        for label in LABELS
    ]


def test_a_classifier_finds_planted_labels_on_held_out_pieces_and_nothing_in_noise():
    found = Classifier.trained(pieces(6.0), "genre", embedding)
    assert all(share.value > 0.9 for share in found.accuracy.values())
    assert found.probability(take(0, 6.0), "jazz") > 0.7 > 0.4 > found.probability(take(0), "jazz")
    noise = Classifier.trained(pieces(6.0), "genre", tag_logits)
    assert np.mean([share.value for share in noise.accuracy.values()]) < 0.55
    assert noise.probability({"tags": None}, "jazz") is None


def scorer():
    return Scorer(
        TEXTS,
        Classifier.trained(pieces(6.0), "genre", embedding),
        Classifier.trained(pieces(6.0), "genre", tag_logits),
    )


def tried(alpha, jazz, **facts):
    known = {"site": "residual", "method": "lda", "form": "blend", **facts}
    return takes(
        jazz, experiment="strengths", pair=PAIR.name, alpha=alpha, seed=int(10 * alpha), **known
    )


def test_the_choice_is_the_highest_score_among_those_that_keep_the_prompt():
    records = [
        *PLAIN,
        *tried(0.1, 0.1),
        *tried(0.2, 0.3),
        *tried(0.4, 0.9, text=0.2),  # loses the prompt
        *tried(0.3, 0.9, faulty=True),  # is faulty
        *tried(0.5, 0.4, site="attention", form="rotate"),
    ]
    assert chosen(records, PAIR, TEXTS) == Choice("attention", "lda", "rotate", 0.5)
    assert chosen(records, PAIR, TEXTS, site="residual") == Choice("residual", "lda", "blend", 0.2)
    lost = [*PLAIN, *tried(0.4, 0.9, text=0.2)]
    assert chosen(lost, PAIR, TEXTS) is None
    # held-out takes do not enter: with theirs as the level, no condition would keep the prompt
    held_out = takes(experiment="plain", split="held-out", text=0.9)
    assert chosen([*held_out, *records], PAIR, TEXTS).alpha == 0.5


def test_a_row_has_the_planted_changes_and_a_random_direction_is_a_unit():
    scores = scorer().scores("jazz", "rock")
    del scores["tags"], scores["source tags"]
    row = row_of(PLAIN, takes(0.4, seed=1, alpha=0.1), scores)
    assert row.scores["cosine"].change == pytest.approx(0.4, abs=0.03)
    assert abs(row.scores["source cosine"].change) < 0.03 < row.target.change
    assert row.facts["alpha"] == 0.1 and row.faulty.value == 0
    draws = tuple(row_of(PLAIN, takes(jazz, seed=2), scores) for jazz in (-0.1, 0.0, 0.5))
    spread = Spread({"rule": "equal norm"}, draws, row)
    assert spread.as_far() == 1 and len(spread.changes()) == 3
    assert spread.changes("cosine")[2] == pytest.approx(0.5, abs=0.03)


def test_pairs_have_stand_ins_where_a_corpus_lacks_a_genre():
    gtzan = ["blues", "hiphop", "jazz", "pop", "rock"]
    assert [one.name for one in genre_pairs(gtzan)] == ["rock to pop"]
    whole = genre_pairs(["rock", "jazz", "folk", "Hip-Hop"])
    assert len(whole) == len(GENRE_PAIRS)
    assert (whole[0].name, whole[0].stands_for) == ("rock to jazz", "rock to pop")
    assert whole[0].after == GENRE_PAIRS[0].after and genre_pairs(["blues", "jazz"]) == ()


def test_held_out_prompts_are_distinct_and_share_nothing_with_those_that_choose():
    neutral, held_out = prompts_of("rock", "neutral", 10), prompts_of("rock", "held-out", 30)
    assert len(set(neutral)) == 10 and len(set(held_out)) == 30
    assert not set(neutral) & set(held_out)
    assert not set(LEADS["neutral"]) & set(LEADS["held-out"])


def test_forms_are_the_operators_that_they_name():
    vector = pair_vector(PAIR)
    steers = [every_layer(vector, form).steer(0.1) for form in ("blend", "literal", "rotate")]
    assert [(one.operator, one.scale) for one in steers] == [
        ("blend", "activation"),
        ("blend", "unit"),
        ("rotate", "unit"),
    ]
    alone = best_layer(vector, 3).steer(0.1)
    assert (alone.strategy, alone.source_layer) == ("one-to-one", 3)
    names = {every_layer(vector, form).name for form in ("blend", "literal", "rotate")}
    assert len(names | {best_layer(vector, 3).name}) == 4


def given(prompt, key, **facts):
    """A take in a key, whose chroma is one pitch class, of a given clip in the key of its prompt."""
    chroma = np.eye(12)[key % 12]
    notes = [[0.5, 1.0, 60.0 + key]]
    return {
        **take(prompt, facts.pop("jazz", 0.0)),
        "chroma": [chroma.tolist()] * 4,
        "mean_chroma": chroma.tolist(),
        "notes": notes,
        "clip": f"clip {prompt}",
        "experiment": "styles",
        "mode": "melody",
        "target": "jazz",
        **facts,
    }


def test_a_transfer_keeps_the_harmony_of_its_own_clip():
    clips = [{**given(prompt, prompt), "name": f"clip {prompt}"} for prompt in range(6)]
    records = [given(prompt, prompt, variant="plain") for prompt in range(6)]
    records += [given(i, i, variant="kept", nats=0.5, jazz=0.5) for i in range(6)]
    records += [given(i, i + 6, variant="lost", nats=0.5, jazz=0.5) for i in range(6)]
    found = {one.variant: one for one in transfers(records, clips, scorer(), scorer())}
    assert set(found) == {"kept", "lost"}
    for name in ("chroma", "notes"):
        kept, lost = found["kept"].kept[name], found["lost"].kept[name]
        assert (kept.mean, kept.plain, kept.unrelated) == (1, 1, 0)
        assert lost.mean == 0 and lost.own.change == -1
    assert found["kept"].row.target.change > 0.1 and found["kept"].nats == 0.5


def change(low, high):
    middle = (low + high) / 2
    return replace(effect([0.0, 1.0], [0.0, 1.0], "difference"), change=middle, low=low, high=high)


@pytest.fixture
def result():
    """A pair whose target rises while the source stays, and a word that replaces it."""
    up, still, down = change(0.1, 0.3), change(-0.05, 0.02), change(-0.6, -0.4)
    scores = {"pair": up, "tags": up, "cosine": up, "source cosine": still}
    facts = {"site": "residual", "method": "mse-probe", "form": "blend", "alpha": 0.1}
    row = replace(row_of(PLAIN, takes(0.2), {}), scores=scores, text=still, facts=facts)
    attention = replace(row, facts={**facts, "site": "attention"})
    word = replace(
        row,
        scores={**scores, "source cosine": down},
        facts={"variant": "target's word"},
    )

    one = SimpleNamespace(
        pair=PAIR,
        own=row,
        random=(
            Spread({"rule": "equal divergence"}, (replace(row, scores={"pair": still}),), row),
        ),
        word=lambda name: word,
        chosen={"chosen strength": row},
        at={"residual": row, "attention": attention}.__getitem__,
    )
    return SimpleNamespace(pairs=(one,)), row


def test_claims_follow_their_tests(result):
    results, row = result
    one = results.pairs[0]
    assert both_sites(results).verdict == as_large(results).verdict == "holds"
    assert fusion(results).verdict == "does not hold"  # the source may have lost .05
    kept = {**row.scores, "source cosine": change(-0.04, 0.02)}
    one.own = replace(row, scores=kept)
    assert fusion(results).verdict == "holds"
    one.own = replace(row, scores={**row.scores, "source cosine": effect([0.0], [1.0])})
    assert fusion(results).verdict == "not testable here"
    one.chosen = {"chosen strength": replace(row, text=change(-0.2, -0.1))}
    assert as_large(results).verdict == "does not hold"
    one.chosen = {}
    assert "every condition costs more" in as_large(results).numbers
    further = replace(row, scores={"pair": change(0.2, 0.4)})
    one.random = (Spread({"rule": "equal divergence"}, (further,), row),)
    assert both_sites(results).verdict == "holds in part"  # at the site of the paper's row
    disputed = replace(row, scores={**row.scores, "tags": change(-0.1, 0.1)})
    one.at = lambda site: disputed
    assert both_sites(results).verdict == "does not hold"


@pytest.mark.parametrize(
    ("target", "chroma", "unrelated", "verdict"),
    [
        ((0.1, 0.3), (-0.02, 0.02), 0.8, "holds"),
        ((-0.1, 0.1), (-0.02, 0.02), 0.8, "does not hold"),  # nothing was transferred
        ((0.1, 0.3), (-0.3, -0.1), 0.8, "does not hold"),  # the music is lost
        ((0.1, 0.3), (-0.02, 0.02), 0.95, "does not hold"),  # any clip is as similar
        ((0.1, 0.3), (np.nan, np.nan), 0.8, "not testable here"),
    ],
)
def test_timbre_is_transferred_where_the_instrument_comes_and_the_music_stays(
    target, chroma, unrelated, verdict
):
    row = SimpleNamespace(target=change(*target))
    kept = SimpleNamespace(own=change(*chroma), mean=0.9, plain=0.9, unrelated=unrelated)
    one = SimpleNamespace(
        experiment="instruments",
        nats=0.5,
        is_random=False,
        target="flute",
        mode="melody",
        method="mse-probe",
        source="",
        row=row,
        kept={"chroma": kept},
    )
    assert timbre(SimpleNamespace(transfers=[one])).verdict == verdict


GAINS = {"mse-probe": 0.4, "bce-probe": 0.1, "diffmean": 0.4, "lda": 0.4}
TAGS = dict.fromkeys("abc", 0.5)


def of_pair(genres, target_gain, seed, **facts):
    """Takes of a pair's source that lean to its target."""
    axes = {label: np.eye(3)[index] for index, label in enumerate(LABELS)}
    found = []
    for prompt in range(PROMPTS):
        rng = np.random.default_rng([seed, prompt])
        row = 0.8 * axes[genres.source] + target_gain * axes[genres.target]
        record = take(prompt, seed=seed, **{"source": genres.source, "tags": TAGS, **facts})
        found.append({**record, "embedding": (row + 0.02 * rng.normal(size=3)).tolist()})
    return found


def study_records(pairs, gains, sites=(1.0, 1.0), random=0.0):
    """Takes of every experiment on genres: methods by their gains, sites by their factors."""
    found, seed = [], iter(range(10_000))
    for pair in pairs:
        for experiment, split in (
            ("plain", "neutral"),
            ("plain", "held-out"),
            ("other seeds", "held-out"),
            ("reference", "neutral"),
        ):
            facts = {"experiment": experiment, "split": split, "variant": experiment}
            if not any(
                (one["experiment"], one.get("split"), one["source"])
                == (experiment, split, pair.source)
                for one in found
            ):
                found += of_pair(pair, 0.0, next(seed), **facts)
        common = {"pair": pair.name, "target": pair.target, "alpha": 0.1, "form": "blend"}
        for site, factor in zip(("residual", "attention"), sites, strict=True):
            for method, gain in gains.items():
                facts = {**common, "site": site, "method": method}
                facts |= {"variant": f"{pair.name}, {site}, {method}"}
                found += of_pair(
                    pair, factor * gain, next(seed), experiment="equal divergence", **facts
                )
                if site == pair.site:
                    found += of_pair(
                        pair, factor * gain, next(seed), experiment="equal alpha", **facts
                    )
        facts = {**common, "site": pair.site, "method": "mse-probe"}
        found += of_pair(
            pair, 0.1, next(seed), experiment="forms", **facts, variant=f"{pair.name}, best layer"
        )
        for draw in range(3):
            facts = {**common, "site": pair.site, "rule": "equal divergence", "draw": draw}
            found += of_pair(
                pair, random, next(seed), experiment="random", **facts, variant=f"random {draw}"
            )
        for name in ("both words", "target's word"):
            found += of_pair(pair, 0.6, next(seed), experiment="word", **common | {"variant": name})
    return found


def analysed(**planted):
    pairs = genre_pairs(LABELS)
    records = study_records(pairs, **planted)
    return analyse(records, pairs, scorer(), scorer(), [], {})


def test_methods_sites_and_forms_are_compared_in_their_sense():
    results = analysed(gains=GAINS)
    assert mse_against_bce(results).verdict == "holds"
    assert "better in 9 of 9" in mse_against_bce(results).numbers  # 3 pairs, 2 sites and equal α
    assert mse_against_means(results).verdict == "does not hold"
    swapped = {**GAINS, "mse-probe": 0.1, "bce-probe": 0.4}
    worse = mse_against_bce(analysed(gains=swapped))
    assert worse.verdict == "does not hold" and "worse in 9" in worse.numbers
    forms = [one for one in results.contrasts if one.comparison == "forms at equal divergence"]
    assert all(one.condition == "blend, every layer" and one.score.low > 0 for one in forms)
    assert {one.against for one in forms} == {"blend, best layer"}
    sites = analysed(gains=GAINS, sites=(1.0, 0.2)).contrasts
    of_sites = [one for one in sites if one.comparison == "sites at equal divergence"]
    assert len(of_sites) == 3 and all(one.score.low > 0 for one in of_sites)


def test_steering_has_to_go_further_than_every_random_direction():
    own = analysed(gains=GAINS).pairs[0]
    (spread,) = own.random
    assert spread.as_far() == 0 and own.at("residual").target.low > 0.1
    as_far = analysed(gains=GAINS, random=0.7)
    assert all(one.random[0].as_far() == 3 for one in as_far.pairs)
    numbers = both_sites(as_far).numbers
    assert numbers.count("3 of 3 random directions as far") == len(as_far.pairs)


def test_the_cheapest_condition_is_among_those_that_rise_as_far_as_the_papers():
    one = analysed(gains=GAINS).pairs[0]
    assert one.cheapest is None  # no condition was tried
    row = one.own
    rows = [
        replace(row, scores={"pair": change(rise - 0.1, rise + 0.1)}, text=change(-loss, -loss))
        for rise, loss in ((0.1, 0.01), (0.25, 0.05), (0.3, 0.03))
    ]
    assert replace(one, strengths=rows).cheapest is rows[2]  # the paper's rise is 0.19
    assert one.word("target's word").facts["variant"] == "target's word"


def test_the_genre_of_plain_takes_is_recognised():
    found = analysed(gains=GAINS).recognised
    assert set(found) == {"rock", "folk"}
    assert all(found[genre]["CLAP"].value == 1 for genre in found)


def test_a_silent_condition_has_a_row_without_numbers():
    silent = [{**one, "embedding": None} for one in takes(seed=5)]
    row = row_of(PLAIN, silent, scorer().scores("jazz", "rock"))
    assert row.target.n == 0 and np.isnan(row.target.change)
    assert points(row.target) == "–" and row.fad is None
