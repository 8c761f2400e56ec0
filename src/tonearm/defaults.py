"""Defaults that are shown without loading what they belong to: evaluators, and live sessions."""

CLAP = "bundled"  # or a CLAP checkpoint
TRACKER = "librosa"  # or "bundled", or a Beat This! checkpoint

LIVE_PROMPT = "a folk tune with flute"
LIVE_LEAD = 0.2  # seconds between the play head and the newest sample
