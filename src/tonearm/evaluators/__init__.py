"""Evaluators: trained networks and estimators that score audio."""
