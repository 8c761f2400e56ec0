"""Default evaluators."""

CLAP = "bundled"  # or a CLAP checkpoint
TRACKER = "librosa"  # or "bundled", or a Beat This! checkpoint
