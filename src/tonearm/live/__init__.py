"""Live session: a steered and a plain stream that are decoded together, without web code and without
a sound card.

    model ─► Performance (one twin stream) ─► Session (pacing, controls, loop, takes) ─► subscribers

Conventions: positions are samples of the session's output, which only grows; frames are those of
the performance that plays. A *performance* is one stream from its start to its end.
"""

from tonearm.live.build_manifest import manifest_of
from tonearm.live.commands import COMMANDS, Command
from tonearm.live.events import (
    Applied,
    AudioBlock,
    Event,
    Meters,
    Notice,
    PromptApplied,
    StateChanged,
)
from tonearm.live.manifest import Manifest
from tonearm.live.session import Session

__all__ = [
    "COMMANDS",
    "Applied",
    "AudioBlock",
    "Command",
    "Event",
    "Manifest",
    "Meters",
    "Notice",
    "PromptApplied",
    "Session",
    "StateChanged",
    "manifest_of",
]
