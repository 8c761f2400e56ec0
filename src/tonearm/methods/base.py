"""Method protocol and registry: activations of two sets -> one direction per layer.

A method declares its input: running moments, whose memory does not grow with the number of
examples, or all rows.

Shapes: n rows; L layers; D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import torch

from tonearm.activations.moments import RunningMoments
from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.steering.monitor import Monitor
from tonearm.text import quoted

Needs = Literal["moments", "rows"]
MAX_P_VALUE = 0.05  # of a direction that is found
BATCH = 256  # rows that are converted to float64 at once


class Rows(Protocol):
    """Rows float32 [n, L, D] in memory (a tensor) or on disk, from which `rows[:, layer]` is read."""

    @property
    def shape(self) -> Sequence[int]: ...

    def __getitem__(self, place: tuple[slice, int], /) -> torch.Tensor: ...


@dataclass(frozen=True)
class Activations:
    """Activations of a positive and a negative set.

    positive, negative  running moments of [L, D] rows
    rows                float32 [n, L, D], if the method needs rows; take them layer by layer, since
                        those of a store are on disk
    labels              int64 [n], 1 for the positive set, 0 for the negative one
    groups              int64 [n], index of each row's prompt or track; no split divides a group. Two
                        prompts that differ in the attribute alone share a group: they are a pair
    hold_out            whether a method that needs moments alone also tests itself on held-out rows,
                        where there are rows
    heads               attention heads whose outputs the rows hold one after the other; None at
                        other sites
    """

    positive: RunningMoments
    negative: RunningMoments
    rows: Rows | None = None
    labels: torch.Tensor | None = None
    groups: torch.Tensor | None = None
    hold_out: bool = True
    heads: int | None = None

    @classmethod
    def from_rows(
        cls,
        rows: torch.Tensor,
        labels: torch.Tensor,
        groups: torch.Tensor,
        heads: int | None = None,
    ) -> "Activations":
        """Activations of rows [n, L, D] with their moments; both labels occur."""
        moments = RunningMoments(), RunningMoments()
        for label, side in zip((1, 0), moments, strict=True):
            for index in torch.nonzero(labels == label)[:, 0].split(BATCH):
                side.add(rows[index])
        return cls(*moments, rows, labels, groups, heads=heads)

    def labelled_rows(self) -> tuple[Rows, np.ndarray, np.ndarray]:
        """Rows, labels and groups. Raises ValueError where only moments were captured."""
        if self.rows is None or self.labels is None or self.groups is None:
            raise ValueError("the method needs rows, labels and groups, but has moments alone")
        return self.rows, self.labels.numpy(), self.groups.numpy()

    @property
    def mean_norms(self) -> torch.Tensor:
        """Mean length of the rows of both sets per layer, float64 [L]."""
        total = self.positive.count + self.negative.count
        weighted = self.positive.mean_norm * self.positive.count
        return (weighted + self.negative.mean_norm * self.negative.count) / total

    def mean_projections(self, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the mean projection of the rows of either set on unit directions.

        It is that of the set's mean, and so exact for a method that has moments alone.

        Args:
            directions: of any length, [L, D]; a direction of zeros has projections of 0.

        Returns:
            Those of the positive and of the negative set, float64 [L].
        """
        wide = directions.double()
        length = wide.norm(dim=-1, keepdim=True)
        units = torch.where(length > 0, wide / length, 0.0)
        positive, negative = (
            (side.mean * units).sum(-1) for side in (self.positive, self.negative)
        )
        return positive, negative


@dataclass(frozen=True)
class Fit:
    """Result of a method.

    directions   float32 [L, D], raw: their length is meaningful
    best_layer   0-based; None if the method does not rank layers
    scores       per-layer values [L] by name
    extra        anything else worth keeping
    head_scores  values of single attention heads [L, H] by name
    monitor      probes that read the attribute while music is generated
    statistics   values of the whole fit by name: of a method that holds out rows, the score of the
                 best layer (best_auc), the limit that 95 % of permutations do not exceed
                 (null_auc), and p_value, the share of permutations that score as high as the labels;
                 of a method whose predictor is not linear, axis_p_value, the same of its predictor
    """

    directions: torch.Tensor
    best_layer: int | None = None
    scores: Mapping[str, torch.Tensor] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    head_scores: Mapping[str, torch.Tensor] = field(default_factory=dict)
    monitor: Monitor | None = None
    statistics: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_direction(self) -> bool:
        """Whether the best score is above its permutation null; True for a fit without a test."""
        return self.statistics.get("p_value", 0.0) <= MAX_P_VALUE

    @property
    def has_axis_only(self) -> bool:
        """Whether a predictor is above its null and no direction is: both ends may mean the same."""
        axis = self.statistics.get("axis_p_value", 1.0) <= MAX_P_VALUE
        return axis and not self.has_direction


class Method(Protocol):
    """Fits a direction per layer."""

    needs: ClassVar[Needs]

    @property
    def name(self) -> str:
        """Name in the registry, with its option where it has one (ridge:0.1)."""
        ...

    def fit(self, activations: Activations) -> Fit:
        """Fit directions. Raises TonearmError if there is none."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """A method with an option, given behind a colon: ridge:0.1.

    option  its name, for usage texts
    """

    option: ClassVar[str]

    def with_option(self, text: str) -> Method:
        """Return the method with its option. Raises TonearmError for a text that is none."""
        ...


@runtime_checkable
class SiteBound(Protocol):
    """A method that fits the activations of one site alone."""

    site: ClassVar[Site]


_METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Add a method to the registry. Raises ValueError for a name that is taken."""
    if method.name in _METHODS:
        raise ValueError(f"a method named {method.name!r} is registered already")
    _METHODS[method.name] = method
    return method


def methods() -> tuple[str, ...]:
    """Names of the registered methods."""
    return tuple(_METHODS)


def usages() -> tuple[str, ...]:
    """Names of the registered methods with their options, such as ridge[:LAMBDA]."""
    return tuple(
        f"{name}[:{method.option}]" if isinstance(method, Configurable) else name
        for name, method in _METHODS.items()
    )


def method_named(name: str) -> Method:
    """The registered method, with its option where `name` has one (ridge:0.1).

    Raises TonearmError for an unknown name, and for an option that the method does not take.
    """
    base, colon, option = name.partition(":")
    if base not in _METHODS:
        raise TonearmError(f"method {quoted(base)} is not known; use one of {', '.join(usages())}")
    method = _METHODS[base]
    if not colon:
        return method
    if not isinstance(method, Configurable):
        raise TonearmError(
            f"method {base} takes no option, but {quoted(option)} was given; write {base}"
        )
    return method.with_option(option)


def site_of(method: Method, site: Site | None) -> Site:
    """The site that a method reads: the one given, else its own, else residual.

    Raises TonearmError for a site that is not the method's own.
    """
    if not isinstance(method, SiteBound):
        return "residual" if site is None else site
    if site not in (None, method.site):
        raise TonearmError(
            f"method {method.name} reads site {method.site}, not {quoted(site)}; omit the site"
        )
    return method.site


def number_option(method: str, text: str, example: float) -> float:
    """Read the option of a method as a number.

    Args:
        method: its name.
        text: after the colon.
        example: a usual value, for the message.

    Raises:
        TonearmError: a text that is no number.
    """
    try:
        return float(text)
    except ValueError:
        raise TonearmError(
            f"method {method} takes a number as its option, not {quoted(text)}; write "
            f"{method}:{example:g}, or {method} for a choice by validation"
        ) from None


class NoDirection(TonearmError):
    """The examples have no direction that differs from chance, by the method at hand."""


def require_direction(fit: Fit, method: str) -> None:
    """Refuse a fit whose best score lies within its permutation null.

    Args:
        fit: of any method.
        method: its name, for the message.

    Raises:
        NoDirection: with the score, the null and p.
    """
    if fit.has_axis_only:
        found = fit.statistics
        raise NoDirection(
            f"method {method} finds an axis without a sign: its predictor is above chance "
            f"(p = {found['axis_p_value']:.3f}), and the projection on the axis is not "
            f"({statistics_text(found)}), so that no strength steers towards one side; give sets "
            "that are opposites"
        )
    if not fit.has_direction:
        raise NoDirection(
            f"method {method} finds no direction: {statistics_text(fit.statistics)}; "
            "give more examples, or sets that differ in one attribute"
        )


def statistics_text(statistics: Mapping[str, float]) -> str:
    """Describe the held-out score of a fit and its null, or nothing where it has none."""
    for name in ("auc", "correlation"):
        if {f"best_{name}", f"null_{name}", "p_value"} <= statistics.keys():
            score = (
                f"held-out {name} {statistics[f'best_{name}']:.2f} "
                f"(95 % of permutations: up to {statistics[f'null_{name}']:.2f}"
            )
            p = f"p = {statistics['p_value']:.3f}"
            if "best_variance_share" not in statistics:
                return f"{score}; {p})"
            return (
                f"{score}), share of variance {statistics['best_variance_share']:.2f} "
                f"(by chance up to {statistics['null_variance_share']:.2f}); {p}"
            )
    return ""
