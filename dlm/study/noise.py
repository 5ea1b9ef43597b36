"""Declares noise in labels and inputs; `dlm/data/corruption.py` applies it."""

from __future__ import annotations

import dataclasses

from dlm.study.config import check_amounts
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Noise:
    """Amounts of noise in the examples, the same at every step. Models of one cohort may differ in them.

    Attributes:
        label: share of labels replaced by another class, uniformly (symmetric noise; Natarajan et al. 2013, "Learning
            with noisy labels").
        label_pairs: share of labels replaced by the next class (pair flipping; Han et al. 2018, "Co-teaching").
        missing: share of normalized input values set to 0, or of tokens set to token 0.
        gaussian: standard deviation of normal noise added to normalized inputs.
        salt: share of input values set to the minimum or the maximum, each with probability 1/2.
    """

    label: float = 0.0
    label_pairs: float = 0.0
    missing: float = 0.0
    gaussian: float = 0.0
    salt: float = 0.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the fields that are above 0."""
        return tuple(field.name for field in dataclasses.fields(self) if getattr(self, field.name))

    def __post_init__(self) -> None:
        check_amounts(self, "noise")
        for name in self.kinds:
            if name != "gaussian" and getattr(self, name) > 1:
                raise UsageError(f"noise.{name}={getattr(self, name):g} is a share; choose a value from 0 to 1")
        if self.label + self.label_pairs > 1:
            raise UsageError(
                f"noise.label={self.label:g} and noise.label_pairs={self.label_pairs:g} are shares of the same labels; "
                "choose values with a sum of at most 1"
            )


def noise_text(noise: Noise) -> list[str]:
    """The amounts above 0, for example `label=0.2`."""
    return [f"{name}={getattr(noise, name):g}" for name in noise.kinds]
