"""Facchiano et al. 2025, "Activation Patching for Interpretable Steering in Music Generation".

    design       sizes, strengths and the rules by which layers and strengths are chosen
    materials    vectors and prompt activations, from the model alone
    stages       trials, stage by stage
    choices      what earlier stages decide: strengths of equal divergence, the best layers
    analysis     numbers of each figure and table
    claims       the paper's claims with the numbers that bear on them

Layers are counted from 0 here, and from 1 in the paper.
"""
