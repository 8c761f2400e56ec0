"""Settings of the training of sparse autoencoders, and numbers that follow from them.

    learning rate  base rate / sqrt(F / 16384), with a linear warm-up over 5 % of the steps, 1,000 at
                   most
    dead           a feature that was not active within the last 5 % of all rows
    threshold      mean of the smallest kept values, with a decay of 0.999 per step, or less in
                   short runs, so that the mean is one over a tenth of the steps

Source: saprmarks/dictionary_learning (MIT) for learning rate, warm-up, decay and auxiliary weight.
There a feature is dead after 10 million rows and the threshold starts at step 1,000; runs that are
shorter than that have neither an auxiliary loss nor a threshold.
"""

import math
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from tonearm.schema import Declared

AUXILIARY_WEIGHT = 1 / 32
DEAD_SHARE = 0.05  # of all rows
MAX_WARM_UP = 1_000  # steps
WARM_UP_SHARE = 0.05
DECAY = 0.999
THRESHOLD_SHARE = 0.1  # of the steps
MAX_FEATURES = 2**20
GRADIENT_NORM = 1.0

Share = Annotated[float, Field(gt=0, le=1)]


class TrainingSettings(Declared):
    """Settings of a training run.

    expansion         F / D
    k                 mean number of active features per row
    rows              rows that are read in all; the data are repeated where they have fewer
    batch_rows        rows of a step
    base_rate         learning rate at 16,384 features
    prefixes          Matryoshka: shares of the features that reconstruct by themselves, rising to 1
    validation_share  of the tracks, which are never trained on
    seed              of the first weights, the order of the rows and the choice of tracks
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    expansion: int = Field(default=8, ge=1, le=256)
    k: int = Field(default=32, ge=1, le=4096)
    rows: int = Field(default=1_000_000, ge=1, le=10**9)
    batch_rows: int = Field(default=2048, ge=2, le=2**14)
    base_rate: float = Field(default=2e-4, gt=0, le=1)
    prefixes: tuple[Share, ...] = Field(default=(1.0,), min_length=1, max_length=16)
    validation_share: float = Field(default=0.1, gt=0, le=0.5)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _consistent(self) -> "TrainingSettings":
        if list(self.prefixes) != sorted(set(self.prefixes)) or self.prefixes[-1] != 1:
            raise ValueError("prefixes have to rise to 1, such as 0.125, 0.25, 0.5, 1")
        if self.rows < self.batch_rows:
            raise ValueError(f"rows {self.rows} are fewer than the {self.batch_rows} of one step")
        return self

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return self.rows // self.batch_rows

    @property
    def dead_after(self) -> int:
        """Rows without activity after which a feature is dead."""
        return max(1, math.ceil(DEAD_SHARE * self.steps)) * self.batch_rows

    @property
    def threshold_decay(self) -> float:
        return min(DECAY, max(0.0, 1 - 1 / (THRESHOLD_SHARE * self.steps)))

    def features(self, width: int) -> int:
        """Number of features F for activations of width D."""
        return self.expansion * width

    def prefix_sizes(self, features: int) -> tuple[int, ...]:
        """Features of each prefix, 1 or more, rising."""
        sizes = sorted({max(1, round(share * features)) for share in self.prefixes})
        return tuple(sizes)

    def learning_rate(self, features: int, step: int) -> float:
        """Learning rate of a step, from 0."""
        warm_up = max(1, min(MAX_WARM_UP, round(WARM_UP_SHARE * self.steps)))
        return self.base_rate / math.sqrt(features / 16_384) * min(1.0, (step + 1) / warm_up)
