"""Listening tests of takes: ABX, choices in pairs, and ratings beside a reference (MUSHRA).

    run | comparisons | folders ──► material ──► stimuli ──► plan ──► page and key
                                                 page ──► result files ──► analysis

The page knows stimuli by random names alone; the key, which stays with the experimenter, says which
condition each of them is.
"""

from tonearm.listening.analysis import Analysis, analyse
from tonearm.listening.conditions import Condition, parse_condition
from tonearm.listening.make import Design, ListeningTestFiles, make_test
from tonearm.listening.material import Item, Material, TakeSource
from tonearm.listening.reading import ResultSet, read_key, read_results
from tonearm.listening.schema import Key, ListeningTest, Result
from tonearm.listening.sources import read_material

__all__ = [
    "Analysis",
    "Condition",
    "Design",
    "Item",
    "Key",
    "ListeningTest",
    "ListeningTestFiles",
    "Material",
    "Result",
    "ResultSet",
    "TakeSource",
    "analyse",
    "make_test",
    "parse_condition",
    "read_key",
    "read_material",
    "read_results",
]
