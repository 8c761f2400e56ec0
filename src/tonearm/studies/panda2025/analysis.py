"""Numbers of each table, from records, vectors and the measured pieces alone.

Every change is against the plain takes of the same prompts and seeds, as a difference with a
t-interval over prompts. A random direction is a unit of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tonearm.stats.effect import Effect, effect
from tonearm.stats.share import Share
from tonearm.steering import VectorInfo
from tonearm.studies.equal_divergence import Curve, curves
from tonearm.studies.label_scores import plain_name
from tonearm.studies.panda2025.clip_analysis import Transfer, transfers
from tonearm.studies.panda2025.design import PAPER_METHOD, GenrePair
from tonearm.studies.panda2025.rows import Row, Spread, distance, row_of
from tonearm.studies.panda2025.scores import Score, Scorer
from tonearm.studies.panda2025.stages import CHOICES
from tonearm.studies.panda2025.variants import BEST
from tonearm.studies.records import Record, by_facts, same_prompts, select

EVERY = "every layer"


@dataclass(frozen=True)
class Contrast:
    """One condition against another on the same prompts and seeds, by the paper's score.

    text  difference of the cosine of take and prompt
    """

    comparison: str
    pair: str
    site: str
    condition: str
    against: str
    score: Effect
    text: Effect


@dataclass(frozen=True)
class PairResult:
    """Everything about one row of tables I and II.

    plain     paper's score of the target without steering, on held-out prompts
    floor     FAD of the plain takes to plain takes of other seeds
    faulty    share of plain takes with a fault
    strengths rows of the α curves on neutral prompts, by site, method, form and divergence
    ridge     rows along the ridge family on neutral prompts
    methods   rows of methods and sites at equal divergence, held-out
    same      rows of methods at equal α
    forms     rows of other forms of the paper's method at equal divergence
    chosen    rows that neutral prompts chose, by rule; none where every condition costs too much
    random    spreads by rule
    words     rows of the words
    seeds     row of plain takes of other seeds
    """

    pair: GenrePair
    plain: float
    floor: float | None
    faulty: Share
    strengths: Sequence[Row]
    ridge: Sequence[Row]
    methods: Sequence[Row]
    same: Sequence[Row]
    forms: Sequence[Row]
    chosen: Mapping[str, Row]
    random: Sequence[Spread]
    words: Sequence[Row]
    seeds: Row

    def word(self, name: str) -> Row:
        """A row of the words by its name."""
        return next(row for row in self.words if row.facts["variant"] == name)

    @property
    def cheapest(self) -> Row | None:
        """Of the conditions on neutral prompts whose mean rise is at least the paper's, the one that
        loses the least text agreement; None where none rises as far.
        """
        rise = self.pair.after - self.pair.before
        far = [row for row in self.strengths if row.target.change >= rise]
        return max(far, key=lambda row: row.text.change, default=None)

    @property
    def own(self) -> Row:
        """The paper's method at the paper's site, at equal divergence."""
        return self.at(self.pair.site)

    def at(self, site: str, method: str = PAPER_METHOD) -> Row:
        """A method at a site, at equal divergence; by default the paper's."""
        return next(
            row
            for row in self.methods
            if (row.facts["site"], row.facts["method"]) == (site, method)
        )


@dataclass(frozen=True)
class Stacked:
    """Two targets at once: the row of a set of vectors, with the change of each target's cosine."""

    name: str
    targets: Sequence[str]
    cosines: Mapping[str, Effect]
    text: Effect
    faulty: Share


@dataclass(frozen=True)
class Results:
    """Everything that the report states; `vectors` are their infos by name."""

    pairs: Sequence[PairResult]
    contrasts: Sequence[Contrast]
    stacked: Sequence[Stacked]
    transfers: Sequence[Transfer]
    curves: Mapping[tuple[str, str], Curve]
    genres: Scorer
    instruments: Scorer
    recognised: Mapping[str, Mapping[str, Share]]
    vectors: Mapping[str, VectorInfo] = field(default_factory=dict)


def analyse(
    records: Sequence[Record],
    pairs: Sequence[GenrePair],
    genres: Scorer,
    instruments: Scorer,
    references: Sequence[Record],
    vectors: Mapping[str, VectorInfo],
) -> Results:
    """Compute the numbers of the study.

    Args:
        records: of all stages.
        pairs: rows of tables I and II.
        genres, instruments: scorers of the labels.
        references: records of the given clips.
        vectors: infos by name.
    """
    return Results(
        pairs=[_pair(records, pair, genres) for pair in pairs],
        contrasts=[one for pair in pairs for one in _contrasts(records, pair, genres)],
        stacked=_stacked(records, genres),
        transfers=transfers(records, references, genres, instruments),
        curves=curves(records),
        genres=genres,
        instruments=instruments,
        recognised={
            genre: _recognised(select(records, experiment="plain", source=genre), genre, genres)
            for genre in dict.fromkeys(pair.source for pair in pairs)
        },
        vectors=vectors,
    )


def _pair(records: Sequence[Record], pair: GenrePair, genres: Scorer) -> PairResult:
    scores = genres.scores(pair.target, pair.source)
    neutral = select(records, experiment="plain", split="neutral", source=pair.source)
    held_out = select(records, experiment="plain", split="held-out", source=pair.source)
    reference = select(records, experiment="reference", source=pair.source)

    def rows(experiment: str, *names: str) -> list[Row]:
        found = select(records, experiment=experiment, pair=pair.name)
        before = neutral if experiment in ("strengths", "ridge") else held_out
        groups = by_facts(found, "variant", *names).values()
        return [row_of(before, takes, scores, reference) for takes in groups]

    own = select(
        records,
        experiment="equal divergence",
        pair=pair.name,
        site=pair.site,
        method=PAPER_METHOD,
    )
    seeds = select(records, experiment="other seeds", source=pair.source)
    pair_scores = [scores["pair"](one) for one in held_out]
    known = [one for one in pair_scores if one is not None]
    return PairResult(
        pair=pair,
        plain=sum(known) / len(known) if known else float("nan"),
        floor=distance(held_out, reference),
        faulty=Share.of(sum(bool(one["faulty"]) for one in held_out), len(held_out)),
        strengths=rows("strengths", "nats"),
        ridge=rows("ridge"),
        methods=rows("equal divergence"),
        same=rows("equal alpha"),
        forms=rows("forms"),
        chosen={rule: row for rule in CHOICES for row in rows(rule)},
        random=_spreads(records, pair, held_out, own, scores),
        words=rows("word"),
        seeds=row_of(held_out, seeds, scores, reference),
    )


def _spreads(
    records: Sequence[Record],
    pair: GenrePair,
    plain: Sequence[Record],
    own: Sequence[Record],
    scores: Mapping[str, Score],
) -> list[Spread]:
    found = []
    random = select(records, experiment="random", pair=pair.name)
    for (rule,), takes in by_facts(random, "rule").items():
        draws = by_facts(takes, "draw").values()
        prompts = {one["prompt"] for one in takes}
        vector = [one for one in own if one["prompt"] in prompts]
        found.append(
            Spread(
                {"pair": pair.name, "site": pair.site, "rule": rule},
                tuple(row_of(plain, draw, scores) for draw in draws),
                row_of(plain, vector, scores),
            )
        )
    return found


def _contrasts(records: Sequence[Record], pair: GenrePair, genres: Scorer) -> list[Contrast]:
    """Methods, sites and placements against one another."""
    score = genres.scores(pair.target, pair.source)["pair"]
    equal = select(records, experiment="equal divergence", pair=pair.name)
    same = select(records, experiment="equal alpha", pair=pair.name)
    forms = select(records, experiment="forms", pair=pair.name)
    found = []

    def add(
        comparison: str,
        site: str,
        condition: tuple[str, Sequence[Record]],
        against: tuple[str, Sequence[Record]],
    ) -> None:
        (name, takes), (other, others) = condition, against
        before = same_prompts(others, takes)
        found.append(
            Contrast(
                comparison,
                pair.name,
                site,
                name,
                other,
                effect([score(one) for one in before], [score(one) for one in takes], "difference"),
                effect(
                    [one["clap_score"]["value"] for one in before],
                    [one["clap_score"]["value"] for one in takes],
                    "difference",
                ),
            )
        )

    for comparison, takes in (
        ("methods at equal divergence", equal),
        ("methods at equal α", same),
    ):
        by_method = by_facts(takes, "site", "method")
        for (site, method), other in by_method.items():
            if method != PAPER_METHOD:
                own = by_method[site, PAPER_METHOD]
                add(comparison, site, (PAPER_METHOD, own), (method, other))
    by_site = by_facts([one for one in equal if one["method"] == PAPER_METHOD], "site")
    residual, attention = by_site["residual",], by_site["attention",]
    add("sites at equal divergence", "both", ("residual", residual), ("attention", attention))
    own = by_site[pair.site,]
    for (form, variant), other in by_facts(forms, "form", "variant").items():
        place = BEST if BEST in variant else EVERY
        other_form = f"{form}, {place}", other
        add("forms at equal divergence", pair.site, (f"blend, {EVERY}", own), other_form)
    return found


def _stacked(records: Sequence[Record], genres: Scorer) -> list[Stacked]:
    found = []
    for (name,), takes in by_facts(select(records, experiment="stacked"), "variant").items():
        targets, source = takes[0]["targets"], takes[0]["source"]
        plain = select(records, experiment="plain", split="held-out", source=source)
        rows = {target: row_of(plain, takes, genres.scores(target, source)) for target in targets}
        first = rows[targets[0]]
        cosines = {target: row.scores["cosine"] for target, row in rows.items()}
        cosines[source] = first.scores["source cosine"]
        found.append(Stacked(name, targets, cosines, first.text, first.faulty))
    return found


def _recognised(takes: Sequence[Record], genre: str, scorer: Scorer) -> dict[str, Share]:
    """Share of plain takes whose prompt's genre is the most probable one, by evaluator."""
    readers: Mapping[str, Callable[[Record, str], float | None]] = {
        "CLAP": scorer.texts.probability,
        "embeddings": scorer.by_embedding.probability,
        "tags": scorer.by_tags.probability,
    }
    found = {}
    for name, read in readers.items():
        values = [{label: read(one, label) for label in scorer.texts.labels} for one in takes]
        known = [
            {label: value for label, value in one.items() if value is not None} for one in values
        ]
        best = [max(one, key=lambda label: one[label]) for one in known if one]
        if best:
            found[name] = Share.of(
                sum(plain_name(label) == plain_name(genre) for label in best), len(best)
            )
    return found
