"""Methods that fit a direction to activations, one file each."""

from tonearm.methods import diffmean
from tonearm.methods.base import Activations, Fit, Method, method_named, methods, register

__all__ = ["Activations", "Fit", "Method", "diffmean", "method_named", "methods", "register"]
