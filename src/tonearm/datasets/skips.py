"""Items of a corpus that are left out, counted by reason."""

from collections.abc import Collection
from dataclasses import dataclass, field

NO_FILE = "no audio file"
NO_LABEL = "no label"
UNREADABLE = "unreadable"
SHORT = "too short"
SILENT = "silent"
REFUSED = "refused by the embedder"


@dataclass(frozen=True)
class Skipped:
    """Items left out for one reason.

    Attributes:
        reason: one of the constants of this module.
        names: of the items, in order.
        detail: one line about the first of them.
        known: whether this is a documented defect of a published corpus.
    """

    reason: str
    names: tuple[str, ...]
    detail: str
    known: bool

    def __str__(self) -> str:
        return f"{len(self.names)} {self.reason} ({self.detail})"

    def to_dict(self) -> dict[str, object]:
        return {"reason": self.reason, "count": len(self.names), "names": list(self.names)}


@dataclass
class SkipLog:
    """Collector of items that are left out.

    `known` holds the reasons that are documented defects of the corpus.
    """

    known: Collection[str] = ()
    _names: dict[str, list[str]] = field(default_factory=dict)
    _details: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, name: str, detail: str) -> None:
        """Count an item.

        Args:
            reason: one of the constants of this module.
            name: of the item.
            detail: one line, kept for the first item of the reason.
        """
        self._names.setdefault(reason, []).append(name)
        self._details.setdefault(reason, detail)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """One record per reason, in order of appearance."""
        return tuple(
            Skipped(reason, tuple(names), self._details[reason], reason in self.known)
            for reason, names in self._names.items()
        )


def describe_skips(skipped: Collection[Skipped]) -> str:
    """Return the counts by reason in one line, such as "1 unreadable (...), 3 silent (...)"."""
    return ", ".join(map(str, skipped))
