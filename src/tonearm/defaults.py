"""Defaults that are shown without loading what they belong to: evaluators, and live sessions."""

CLAP = "bundled"  # or a CLAP checkpoint
TRACKER = "librosa"  # or "bundled", or a Beat This! checkpoint

LIVE_PROMPT = "a folk tune with flute"
LIVE_LEAD = 0.2  # seconds between the play head and the newest sample
LIVE_CHUNK = 0.08  # seconds of music that are decoded at once
STUDIO_PORT, HARP_PORT = 9310, 9320
