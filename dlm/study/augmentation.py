"""How training inputs are changed anew at every step, as it is declared; `dlm/train/augmentation.py` does it."""

from __future__ import annotations

import dataclasses
import math

from dlm.study.config import check_fields
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random changes of training inputs, applied in this order but for mixup, which is last; all off by default.

    Images: `flip` mirrors left-right with chance 1/2; `crop` shifts by up to so many pixels each way, zeros moving in
    (He et al. 2016, "Deep residual learning"); `cutout` sets a square of this side to zero, its centre anywhere, so
    that it may hang over the edge (DeVries & Taylor 2017). Spectrograms: `time_mask` and `frequency_mask` set up to so
    many neighbouring frames and bands to zero (Park et al. 2019, "SpecAugment"). Tokens: `token_drop` is the chance
    that one is replaced by 0. `mixup` is alpha of Beta(alpha, alpha), by which two examples are averaged (Zhang et al.
    2018). Zero is the model's: inputs after `scale` and `shift`, and what its convolutions see beyond the edge.
    """

    flip: bool = False
    crop: int = 0
    cutout: int = 0
    mixup: float = 0.0
    time_mask: int = 0
    frequency_mask: int = 0
    token_drop: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "augment")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise UsageError(f"augment.{field.name}={value!r} must be a finite number of at least 0")
        for name in ("token_drop", "mixup"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.token_drop >= 1:
            raise UsageError(f"augment.token_drop={self.token_drop:g} is a chance; choose below 1")
        if self.mixup and not 1e-3 <= self.mixup <= 1e3:  # beyond, Beta is a coin or a constant, and hard to draw
            raise UsageError(f"augment.mixup={self.mixup:g} must lie between 0.001 and 1000, or be 0 for none")


def check(augment: Augment, input_shape: tuple[int, ...], tokens: bool) -> None:
    """UsageError for a change that does not fit the examples. input_shape: of one example; tokens: whole numbers."""
    rank = len(input_shape)
    needs = {
        ("flip", "crop", "cutout"): ("images [H, W] or [H, W, C]", not tokens and rank in (2, 3)),
        ("time_mask", "frequency_mask"): ("spectrograms [T, F] or [T, F, …]", not tokens and rank >= 2),
        ("token_drop",): ("tokens [L]", tokens),
        ("mixup",): ("inputs that can be averaged", not tokens),
    }
    for names, (needed, fits) in needs.items():
        for name in names:
            if getattr(augment, name) and not fits:
                told = f"are tokens {input_shape}" if tokens else f"have shape {input_shape}"
                raise UsageError(
                    f"augment.{name}={getattr(augment, name)} needs {needed}; examples {told}: leave it out"
                )
    limits = {
        "crop": (input_shape[:2], "pixels of the smaller side"),
        "cutout": (input_shape[:2], "pixels of the smaller side"),
        "time_mask": (input_shape[:1], "frames of an example"),
        "frequency_mask": (input_shape[1:2], "bands of an example"),
    }
    for name, (sides, what) in limits.items():
        value = getattr(augment, name)
        if value and value >= min(sides):
            raise UsageError(
                f"augment.{name}={value} must be below the {min(sides)} {what}; examples are {input_shape}"
            )
