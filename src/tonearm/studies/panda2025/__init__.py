"""Panda et al. 2025, "Fine-Grained control over Music Generation with Activation Steering".

Data flow: corpora -> activations -> structure (clusters, probes) and vectors -> trials -> results.
"""
