"""Paths of the data that ships with Tonearm: the checkpoint pocket with its vectors, the bundled
evaluators, prompt sets.
"""

from pathlib import Path

ASSETS = Path(__file__).with_name("assets")
POCKET = ASSETS / "pocket"
POCKET_VECTORS = POCKET / "vectors"
EVALUATORS = ASSETS / "evaluators"
CLAP = EVALUATORS / "clap"
BEAT_TRACKER = EVALUATORS / "beats.ckpt"
MUSICNN = EVALUATORS / "musicnn.safetensors"
EVALUATORS_CARD = EVALUATORS / "card.json"
PROMPTS = ASSETS / "prompts"
