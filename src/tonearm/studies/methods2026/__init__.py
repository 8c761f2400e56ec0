"""Ranking of steering methods at equal divergence: every method, attribute and operator."""
