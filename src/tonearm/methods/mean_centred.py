"""Mean-centring: the mean activation of a set minus that of a broad background.

    v_l = mean over the target of h_l(x)  -  mean over the background of h_l(x)

It is for concepts without a natural opposite, such as an instrument. A background that holds the
target with a share π gives the same direction, (1 - π) times as long. The estimator is that of
DiffMean; the name says that the negative set is a background, so that a negative strength means
"less than usual" and not an opposite, and often does little.

`tonearm.learn` and `tonearm learn` take the bundled neutral prompts as the background where no
negative set is given, for every method. In a labelled corpus the background of a label is the rest.

Source: Jorgensen et al. 2023 (mean-centring).
"""

from typing import ClassVar

from tonearm.methods.base import register
from tonearm.methods.diffmean import DiffMean


class MeanCentred(DiffMean):
    """Difference of the means of a target and a background, from moments."""

    name: ClassVar[str] = "mean-centred"


register(MeanCentred())
