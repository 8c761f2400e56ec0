"""Requests, takes with their provenance, batches and streams."""
