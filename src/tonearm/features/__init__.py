"""Sparse autoencoders of a model's activations, and the features in them.

    clips ─► train ─► trained autoencoder ─┬─► activity by track ─► names
                                           └─► vectors, of a feature or of two sets of clips

Clips are those of tonearm/activations/clips.py.
"""
