"""Prompt sets and labelled audio."""
