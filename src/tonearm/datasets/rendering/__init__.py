"""Labelled audio rendered offline: scores, a synthesizer, and recipes of corpora."""
