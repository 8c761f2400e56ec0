"""Names of features: the label that a feature's activity agrees with best, if beyond chance.

    rho(f, name) = Spearman correlation over tracks of the feature's mean value and the label
    name(f)      = argmax over names of |rho|

Choosing the best of a hundred names is optimistic, so the p of a feature is that of the maximum:
labels are permuted over tracks as a whole, and p is the share of permutations whose largest |rho|
is as large. Features are named at a rate of false discoveries of 5 %; the others stay unnamed. The
names are chosen on two thirds of the tracks and scored on the rest, which chose nothing.

Only features that are active on 1 to 25 % of the tracks get names: a rarer one has too few tracks,
a more frequent one is in all music. A feature is active on a track where it is active in
ACTIVE_FRAMES of the frames or more.

Shapes: n tracks; F features; M labels.

Source: music-sae (Singh et al. 2025) for the range of 1 to 25 %; Westfall & Young 1993 for the
maximum statistic.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ConfigDict
from scipy.stats import rankdata, spearmanr

from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.features.labels import Labels
from tonearm.features.tracks import TrackActivity
from tonearm.features.trained import TrainedAutoencoder
from tonearm.files.atomic import atomic_write
from tonearm.schema import Declared
from tonearm.stats.discoveries import discoveries

FEWEST, MOST = 0.01, 0.25  # share of the tracks
ACTIVE_FRAMES = 0.05  # share of a track's frames
NAMING_SHARE = 2 / 3  # of the tracks
MIN_TRACKS = 30
MOST_UNDEFINED = 0.2  # share of a label's tracks
PERMUTATIONS = 1000
RATE = 0.05  # of false discoveries
CONFIRMED_P = 0.05


class Name(Declared):
    """A feature's best label.

    feature      number of the feature
    label        that agrees best
    rho          Spearman correlation on the tracks that chose the label
    p            of the largest |rho| over all labels
    is_named     whether it is a discovery; the label is no name otherwise
    held_out     correlation on the other tracks; None where the feature or the label is constant
    held_out_p   of that correlation, of two sides
    tracks       share of all tracks on which the feature is active
    frames       share of the frames of the training in which it is active
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    feature: int
    label: str
    rho: float
    p: float
    is_named: bool
    held_out: float | None
    held_out_p: float | None
    tracks: float
    frames: float

    @property
    def is_confirmed(self) -> bool:
        """Whether the name holds on the other tracks: the same sign, and p of 0.05 or less."""
        if self.held_out is None or self.held_out_p is None:
            return False
        return self.is_named and self.rho * self.held_out > 0 and self.held_out_p <= CONFIRMED_P


class Naming(Declared):
    """Names of an autoencoder's features.

    content_hash   of the autoencoder
    checkpoint, fingerprint, site, layer, features  of the autoencoder
    tracks         in all
    naming_tracks  that chose the names
    labels         that were compared
    names          features on 1 to 25 % of the tracks: named ones first, the strongest first
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    content_hash: str
    checkpoint: str
    fingerprint: str
    site: Site
    layer: int
    features: int
    tracks: int
    naming_tracks: int
    labels: tuple[str, ...]
    names: tuple[Name, ...]

    @property
    def named(self) -> tuple[Name, ...]:
        """Features that have a name."""
        return tuple(one for one in self.names if one.is_named)


def check_tracks(tracks: Sequence[str]) -> None:
    """Raise TonearmError for too few tracks."""
    if len(tracks) < MIN_TRACKS:
        raise TonearmError(
            f"{len(tracks)} tracks are too few for names; give {MIN_TRACKS} or more prompts or "
            "recordings"
        )


def name_features(
    trained: TrainedAutoencoder,
    activity: TrackActivity,
    labels: Labels,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Naming:
    """Name the features that are active on 1 to 25 % of the tracks.

    Args:
        trained: the autoencoder.
        activity: of its features on n tracks.
        labels: of the same tracks, in their order.
        seed: of the division of the tracks, and of the permutations.
        permutations: of the null.

    Raises:
        TonearmError: fewer than MIN_TRACKS tracks, or no label that varies.
    """
    check_tracks(activity.tracks)
    count, rng = len(activity.tracks), np.random.default_rng(seed)
    naming = np.zeros(count, dtype=bool)
    naming[rng.permutation(count)[: round(NAMING_SHARE * count)]] = True
    usable = np.flatnonzero(_usable(labels.values[naming]))
    if not len(usable):
        raise TonearmError("no label varies over the tracks; give more different prompts or audio")
    frequency = (activity.shares.numpy() >= ACTIVE_FRAMES).mean(0)
    means = activity.means.numpy()
    is_candidate = (frequency >= FEWEST) & (frequency <= MOST) & (np.ptp(means[naming], axis=0) > 0)
    features = np.flatnonzero(is_candidate)
    rho, p = _agreement(
        _unit_ranks(means[naming][:, features]),
        _unit_ranks(labels.values[naming][:, usable]),
        permutations,
        rng,
    )
    is_named = discoveries(p, RATE)
    names = list[Name]()
    for index, feature in enumerate(features):
        best = int(np.abs(rho[index]).argmax())
        label = usable[best]
        held_out, held_out_p = _held_out(means[~naming, feature], labels.values[~naming, label])
        names.append(
            Name(
                feature=int(feature),
                label=labels.names[label],
                rho=float(rho[index, best]),
                p=float(p[index]),
                is_named=bool(is_named[index]),
                held_out=held_out,
                held_out_p=held_out_p,
                tracks=float(frequency[feature]),
                frames=float(trained.shares[feature]),
            )
        )
    info = trained.info
    return Naming(
        content_hash=trained.content_hash(),
        checkpoint=info.checkpoint,
        fingerprint=info.fingerprint,
        site=info.site,
        layer=info.layer,
        features=info.features,
        tracks=count,
        naming_tracks=int(naming.sum()),
        labels=tuple(labels.names[index] for index in usable),
        names=tuple(sorted(names, key=lambda one: (not one.is_named, -abs(one.rho)))),
    )


def save_naming(naming: Naming, path: Path) -> None:
    """Write names as JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(naming.model_dump_json(indent=1), encoding="utf-8")


def _agreement(
    features: np.ndarray, labels: np.ndarray, permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of features with labels, and p of each feature's largest one.

    Args:
        features: unit ranks [n, F].
        labels: unit ranks [n, M].
        permutations: of the labels over tracks.
        rng: of the permutations.

    Returns:
        Correlations [F, M] and p [F].
    """
    rho = features.T @ labels
    strongest = np.abs(rho).max(1)
    as_large = np.ones(len(strongest))
    for _ in range(permutations):
        null = features.T @ labels[rng.permutation(len(labels))]
        as_large += np.abs(null).max(1) >= strongest
    return rho, as_large / (1 + permutations)


def _usable(values: np.ndarray) -> np.ndarray:
    """Labels [n, M] that vary and are defined for most tracks, bool [M]."""
    defined = np.isfinite(values)
    filled = np.where(defined, values, 0)
    varies = np.array(
        [len(np.unique(filled[defined[:, i], i])) > 1 for i in range(values.shape[1])], dtype=bool
    )
    return varies & (defined.mean(0) >= 1 - MOST_UNDEFINED)


def _unit_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks [n, M], centred and of unit length, so that products are Spearman correlations.

    An undefined value has the middle rank, which adds nothing.
    """
    ranks = rankdata(values, axis=0, nan_policy="omit")
    centred = np.nan_to_num(ranks - np.nanmean(ranks, axis=0))
    return centred / np.linalg.norm(centred, axis=0)


def _held_out(values: np.ndarray, labels: np.ndarray) -> tuple[float | None, float | None]:
    """Spearman correlation of a feature with a label and its p; None where one is constant."""
    defined = np.isfinite(labels)
    values, labels = values[defined], labels[defined]
    if len(values) < 3 or np.ptp(values) == 0 or np.ptp(labels) == 0:
        return None, None
    found = spearmanr(values, labels)
    return float(found.statistic), float(found.pvalue)
