"""How much of a training set is wrong, as it is declared; `dlm/data/corruption.py` makes it so."""

from __future__ import annotations

import dataclasses
import math

from dlm.study.config import check_fields
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Noise:
    """What is wrong with examples, at every step in the same way: numbers, so that members of a cohort may differ.

    `label`: share of labels replaced by another class, all others alike (symmetric noise; Natarajan et al. 2013,
    "Learning with noisy labels"). `label_pairs`: share replaced by the next class (pair flipping; Han et al. 2018,
    "Co-teaching"). `missing`: share of input values set to 0, in what the model sees; of tokens, to token 0.
    `gaussian`: standard deviation of what is added to inputs, in the model's units. `salt`: share of input values set
    to the smallest or the largest there is, either with chance 1/2.
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
        check_fields(self, "noise")
        for field in dataclasses.fields(self):
            value = float(getattr(self, field.name))
            if not 0 <= value < math.inf or (field.name != "gaussian" and value > 1):
                rule = "standard deviation; choose 0 or more" if field.name == "gaussian" else "share; choose 0 to 1"
                raise UsageError(f"noise.{field.name}={value:g} is a {rule}")
            object.__setattr__(self, field.name, value)
        if self.label + self.label_pairs > 1:
            raise UsageError(
                f"noise.label={self.label:g} and noise.label_pairs={self.label_pairs:g} are shares of the same labels; "
                "choose at most 1 together"
            )


def described(noise: Noise) -> list[str]:
    """The amounts above 0, as `label=0.2`."""
    return [f"{name}={getattr(noise, name):g}" for name in noise.kinds]
