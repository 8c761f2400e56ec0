"""Analyses of embeddings and activations."""
