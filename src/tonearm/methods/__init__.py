"""Methods that fit a direction to activations, one file each."""

from tonearm.methods import diffmean, heads, logistic, mean_centred, pca, rfm, ridge
from tonearm.methods.base import (
    Activations,
    Fit,
    Method,
    method_named,
    methods,
    register,
    require_direction,
    usages,
)
from tonearm.methods.one_hot import fit_one_against_one, fit_one_hot
from tonearm.methods.regression import fit_regression

__all__ = [
    "Activations",
    "Fit",
    "Method",
    "diffmean",
    "fit_one_against_one",
    "fit_one_hot",
    "fit_regression",
    "heads",
    "logistic",
    "mean_centred",
    "method_named",
    "methods",
    "pca",
    "register",
    "require_direction",
    "rfm",
    "ridge",
    "usages",
]
