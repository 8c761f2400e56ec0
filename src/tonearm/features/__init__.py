"""Sparse autoencoders of a model's activations, and the features in them.

clips ─► train ─► trained autoencoder ─► activity by track ─► names
                                     └─► steering vectors: of a feature, or of two sets of clips
"""
