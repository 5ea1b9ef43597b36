"""Bicubic interpolation of images, the baseline of super-resolution, by Pillow."""

from __future__ import annotations

import dataclasses

import numpy as np

from dlm.baselines.base import FittedBaseline, require_numbers
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class Bicubic:
    """Images upscaled by `factor` with cubic convolution (Keys 1981, a = −0.5), as Pillow does.

    It learns nothing from the subset, so its curve is flat. Inputs and targets must have the same unit, such as 0 … 1;
    values are not clipped.
    """

    factor: int = 2

    def __post_init__(self) -> None:
        at_least(2, factor=self.factor)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs are images and targets are images of `factor` times the height and width."""
        require_numbers(self, dataset)
        shape, num_targets = dataset.train.x.shape[1:], int(np.prod(dataset.train.y.shape[1:]))
        if len(shape) != 3 or dataset.standardize:
            raise UsageError(
                f"Bicubic() upscales images [height, width, channels], but the inputs of {dataset.name!r} have shape "
                f"{shape}{' and are standardized' if dataset.standardize else ''}; remove the learner"
            )
        num_outputs = self.factor**2 * int(np.prod(shape))
        if num_outputs != num_targets:
            raise UsageError(
                f"factor={self.factor} makes {num_outputs} numbers from an image {shape}, but the targets of "
                f"{dataset.name!r} have {num_targets}; choose the factor between inputs and targets"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit nothing. Outputs are float32 [N, h · factor · w · factor · C] for x float32 [N, h, w, C]."""
        return FittedBaseline(0, lambda x: self.upscale(x).reshape(len(x), num_outputs), in_target_unit=True)

    def upscale(self, x: np.ndarray) -> np.ndarray:
        """Images float32 [N, h, w, C] upscaled to [N, h · factor, w · factor, C]."""
        from PIL import Image

        height, width = (self.factor * side for side in x.shape[1:3])
        channels = np.moveaxis(x.astype(np.float32), 3, 1).reshape(-1, *x.shape[1:3])
        size, method = (width, height), Image.Resampling.BICUBIC
        upscaled = [np.asarray(Image.fromarray(channel).resize(size, method)) for channel in channels]
        return np.moveaxis(np.stack(upscaled).reshape(len(x), -1, height, width), 1, 3)
