"""Sizes of the study, the paper's rows, and the prompts."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product

from tonearm.backend import Site
from tonearm.studies.label_scores import plain_name

PAPER = "Panda et al. 2025"
SITES: tuple[Site, ...] = ("residual", "attention")
PAPER_METHOD = "mse-probe"  # which the paper found best
DIFFMEAN = "diffmean"
METHODS = (PAPER_METHOD, "bce-probe", DIFFMEAN, "lda")
PROMPTS = "prompts"  # DiffMean of prompts, as in Facchiano et al. 2025, for comparison
ROTATED = ("diffmean", "lda", PROMPTS)  # methods that are injected by rotation, too
# λ = 0 is the MSE probe, and the far end DiffMean
RIDGE_PATH = (PAPER_METHOD, "ridge:0.01", "ridge:0.1", "ridge:1", "ridge:10", "diffmean")
MAX_TEXT_LOSS = 0.05  # of the cosine of take and prompt, at the chosen strength


@dataclass(frozen=True)
class GenrePair:
    """A row of the paper's tables I and II.

    source, target  genres
    site            of the paper's row
    table           I or II
    before, after   the paper's CLAP score of the target, plain and steered
    kept            the paper's CLAP score of the source, steered
    stands_for      the paper's pair, where a genre of it is not in the corpus; else empty
    """

    source: str
    target: str
    site: Site
    table: str
    before: float
    after: float
    kept: float
    stands_for: str = ""

    @property
    def name(self) -> str:
        return f"{self.source} to {self.target}"


@dataclass(frozen=True)
class Instrument:
    """A row of table III: the paper's CLAP scores of the target, of the clip and steered.

    `stands_for` is the paper's instrument where the corpus has another one.
    """

    target: str
    before: float
    after: float
    stands_for: str = ""


GENRE_PAIRS = (
    GenrePair("rock", "pop", "residual", "I", 0.012, 0.202, 0.797),
    GenrePair("folk", "hip hop", "residual", "I", 0.004, 0.121, 0.878),
    GenrePair("hip hop", "folk", "residual", "I", 0.006, 0.250, 0.750),
    GenrePair("rock", "folk", "attention", "II", 0.0003, 0.057, 0.942),
    GenrePair("folk", "rock", "attention", "II", 0.004, 0.329, 0.621),
)
STAND_INS = {"pop": "jazz"}  # genres of the corpus in place of the paper's
INSTRUMENTS = (
    Instrument("flute", 0.7613, 0.7741),
    Instrument("violin", 0.2323, 0.5001),
    Instrument("marimba", 0.0064, 0.0412, "xylophone"),
)
RIDGE_PAIRS = ("rock to jazz", "rock to pop", "folk to rock")  # on which effect along λ is measured
STYLE_PAIRS = ("rock to folk", "folk to rock")  # of which given clips are steered
FORMS = {
    "learned": ("a {genre} melody on {lead}", "{genre} music with a {lead}"),
    "neutral": ("a {genre} song with {lead}", "the main theme of a {genre} track on {lead}"),
    "held-out": (
        "a {genre} tune led by a {lead}",
        "a {genre} piece for {lead}",
        "a {lead} recording in a {genre} style",
        "{genre} music featuring the {lead}",
        "this is a {genre} number with a {lead} lead",
    ),
}
LEADS = {
    "learned": ("guitar", "piano", "saxophone", "organ", "trumpet", "flute", "violin", "synth"),
    "neutral": ("guitar", "piano", "saxophone", "organ", "trumpet"),
    "held-out": ("flute", "violin", "synth", "harmonica", "bells", "cello", "marimba"),
}


def genre_pairs(genres: Collection[str]) -> tuple[GenrePair, ...]:
    """Rows of tables I and II whose genres a corpus has.

    Args:
        genres: labels of the corpus; case, spaces and hyphens do not count.

    Returns:
        The paper's pairs, with stand-ins for genres that are absent.
    """
    known = {plain_name(genre) for genre in genres}

    def has(pair: GenrePair) -> bool:
        return {plain_name(pair.source), plain_name(pair.target)} <= known

    pairs = [
        pair if has(pair) or pair.target not in STAND_INS else _stand_in(pair)
        for pair in GENRE_PAIRS
    ]
    return tuple(pair for pair in pairs if has(pair))


def _stand_in(pair: GenrePair) -> GenrePair:
    target = STAND_INS[pair.target]
    return GenrePair(
        pair.source,
        target,
        pair.site,
        pair.table,
        pair.before,
        pair.after,
        pair.kept,
        stands_for=pair.name,
    )


def spelled(label: str) -> str:
    """A label as the paper spells it, or as it is."""
    known = [one.source for one in GENRE_PAIRS] + [one.target for one in GENRE_PAIRS]
    return next((one for one in known if plain_name(one) == plain_name(label)), label)


def prompts_of(genre: str, split: str, count: int) -> tuple[str, ...]:
    """Prompts of a genre; the splits share no form and no lead.

    Args:
        genre: in the prompts.
        split: learned, for vectors of prompts; neutral, which chooses; or held-out.
        count: of prompts; texts repeat, with other seeds, beyond the combinations.
    """
    texts = [
        form.format(genre=genre, lead=lead) for lead, form in product(LEADS[split], FORMS[split])
    ]
    return tuple(texts[i % len(texts)] for i in range(count))


@dataclass(frozen=True)
class Design:
    """Sizes.

    name            whole or smoke
    seconds         of each take
    pieces          of the corpus of genres and instruments
    notes, chords, progressions  clips of these corpora; None for all
    segment         seconds of a piece that are captured
    methods         that fit the vectors
    rotated         methods that are injected by rotation, too
    ridge           methods along the ridge family
    classified      pieces of each genre that train the classifiers
    neutral         prompts of each source genre, which choose
    held_out        prompts of each source genre of the tables
    curve           α of the divergence curves
    curve_prompts   plain takes on which divergences are measured
    divergence      nats per frame at which methods and sites are compared
    divergences     of the α curves, in nats per frame
    clip_divergences  of the steering of given clips, likewise
    random          random directions
    random_prompts  held-out prompts of each
    clips           given clips of each experiment
    given           rendered pieces of which the given clips are chosen
    """

    name: str
    seconds: float = 10.0
    pieces: int = 2700
    notes: int | None = None
    chords: int | None = None
    progressions: int | None = None
    segment: float = 10.0
    methods: tuple[str, ...] = METHODS
    rotated: tuple[str, ...] = ROTATED
    ridge: tuple[str, ...] = RIDGE_PATH
    classified: int = 60
    neutral: int = 10
    held_out: int = 30
    curve: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3)
    curve_prompts: int = 3
    divergence: float = 0.5
    divergences: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    clip_divergences: tuple[float, ...] = (0.5, 1.5)
    random: int = 5
    random_prompts: int = 10
    clips: int = 20
    given: int = 240


WHOLE = Design("whole")
SMOKE = Design(
    "smoke",
    seconds=4.0,
    pieces=162,
    notes=48,
    chords=48,
    progressions=76,
    segment=4.0,
    methods=(PAPER_METHOD, "diffmean"),
    rotated=("diffmean",),
    ridge=(PAPER_METHOD, "diffmean"),
    classified=4,
    neutral=2,
    held_out=2,
    curve=(0.03, 0.3),
    curve_prompts=1,
    divergences=(0.5,),
    clip_divergences=(0.5,),
    random=1,
    random_prompts=2,
    clips=1,
    given=24,
)
