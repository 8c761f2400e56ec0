"""Claims of a paper, each with a stated test and the numbers that decide it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tonearm.report.table import Table

Verdict = Literal["holds", "holds in part", "does not hold", "not testable here"]
Tested = bool | None  # None where there is no number


@dataclass(frozen=True)
class Claim:
    """A claim of a paper.

    place    in the paper
    text     of the claim, in our words
    test     that decides it
    verdict  of the test
    numbers  in one sentence or more
    """

    place: str
    text: str
    test: str
    verdict: Verdict
    numbers: str


def verdict(tests: Sequence[Tested]) -> Verdict:
    """The verdict of a claim from its test in each case; without one of them it is not testable."""
    known = [one for one in tests if one is not None]
    if len(known) < len(tests) or not known:
        return "not testable here"
    if all(known):
        return "holds"
    return "holds in part" if any(known) else "does not hold"


def counted_claim(place: str, text: str, test: str, tests: Sequence[Tested], numbers: str) -> Claim:
    """A claim with its verdict, and in how many cases its test is met.

    Args:
        place: in the paper.
        text: of the claim.
        test: that decides it.
        tests: its result in each case.
        numbers: in one sentence or more.
    """
    met = sum(one is True for one in tests)
    return Claim(
        place, text, test, verdict(tests), f"Met in {met} of {len(tests)} cases. {numbers}"
    )


def claims_tables(
    claims: Sequence[Claim], caption: str = "The paper's claims on this checkpoint."
) -> list[Table]:
    """A table of verdicts under a caption, and one of the numbers."""
    return [
        Table(
            "claims",
            caption,
            ("place", "claim", "here", "test"),
            [[one.place, one.text, one.verdict, one.test] for one in claims],
        ),
        Table(
            "claims-numbers",
            "The numbers of each test.",
            ("place", "numbers"),
            [[one.place, one.numbers] for one in claims],
        ),
    ]
