"""What is used where nothing is said."""

JUDGE = "embedded"  # or a CLAP checkpoint
TRACKER = "librosa"  # or "embedded", or a Beat This! checkpoint
