"""Conditions of a study, as facts of its records."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tonearm.errors import TonearmError
from tonearm.text import quoted

FORM = "NAME=FACT:VALUE,FACT:VALUE"


@dataclass(frozen=True)
class Condition:
    """Takes of a study that have some facts; values are texts, `facts` may be empty for all."""

    name: str
    facts: Mapping[str, str]

    def matches(self, facts: Mapping[str, Any]) -> bool:
        """Whether a record has the facts; a number matches a text of its value."""
        return all(
            name in facts and _is_value(facts[name], text) for name, text in self.facts.items()
        )


def parse_condition(text: str) -> Condition:
    """Parse a condition such as `fast=experiment:table 1,pair:tempo,sign:+`.

    Raises:
        TonearmError: no name, a part without a colon, or a fact twice.
    """
    name, equals, parts = text.partition("=")
    if not (name.strip() and equals and parts):
        raise TonearmError(
            f"condition {quoted(text)} is not {FORM}; give for example fast=pair:tempo,sign:+"
        )
    facts: dict[str, str] = {}
    for part in parts.split(","):
        fact, colon, value = part.partition(":")
        if not (fact.strip() and colon):
            raise TonearmError(
                f"{quoted(part)} of condition {quoted(name)} is not FACT:VALUE; give for example sign:+"
            )
        if fact.strip() in facts:
            raise TonearmError(f"condition {quoted(name)} names {quoted(fact.strip())} twice")
        facts[fact.strip()] = value.strip()
    return Condition(name.strip(), facts)


def shown_value(value: Any) -> str:
    """A fact's value as a condition states it."""
    return value if isinstance(value, str) else json.dumps(value)


def known_values(trials: Sequence[Mapping[str, Any]], fact: str, most: int = 12) -> str:
    """List the values of a fact for a message; the first `most` of many."""
    values = list(dict.fromkeys(shown_value(one[fact]) for one in trials if fact in one))
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more


def _is_value(value: Any, text: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(text) == value
    return shown_value(value) == text
