"""Bicubic upscaling: Pillow's values, the unit of errors, and data checks."""

import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

from dlm import Study, UsageError
from dlm.baselines import Bicubic
from dlm.data.dataset import Dataset, Split
from dlm.execution import executor
from dlm.storage import record_log
from dlm.tasks import Regression


@dataclasses.dataclass(frozen=True)
class Downscaled:
    """Random smooth images as targets, flattened or not, and their 2 × 2 means as inputs."""

    flat: bool = True

    def load(self, data_dir=None):
        random = np.random.default_rng(0)
        rough = random.uniform(size=(40, 4, 5, 2)).astype(np.float32)
        large = np.asarray(jax.image.resize(rough, (40, 12, 16, 2), "cubic"))
        small = large.reshape(40, 6, 2, 8, 2, 2).mean(axis=(2, 4))
        everything = Split(small, large.reshape(40, -1) if self.flat else large)
        return Dataset("downscaled", *(everything.take(rows) for rows in np.split(np.arange(40), (20, 30))))


def test_upscaling_equals_pillow():
    dataset = Downscaled(flat=False).load()
    fitted = Bicubic(2).fit(dataset.train.x, dataset.train.y, 384, seed=0)
    outputs = fitted.outputs(dataset.test.x).reshape(dataset.test.y.shape)
    for image, upscaled in zip(dataset.test.x, outputs):
        for channel in range(2):
            expected = Image.fromarray(np.ascontiguousarray(image[..., channel])).resize((16, 12), Image.BICUBIC)
            np.testing.assert_array_equal(upscaled[..., channel], np.asarray(expected))
    other = jax.image.resize(dataset.test.x, dataset.test.y.shape, "cubic")  # an independent implementation
    np.testing.assert_allclose(outputs, other, atol=1e-5)


@pytest.mark.parametrize("flat", [True, False])
def test_error_in_a_study_is_in_the_original_unit(tmp_path, flat):
    source = Downscaled(flat)
    executor.run_trials(Study(source, Regression(), {"cubic": Bicubic(2)}, train_sizes=(5, 20), seeds=2), tmp_path)
    test = source.load().test
    difference = Bicubic(2).upscale(test.x).reshape(len(test), -1) - test.y.reshape(len(test), -1)
    errors = [row.value for row in record_log.rows(tmp_path) if (row.split, row.metric) == ("test", "error")]
    np.testing.assert_allclose(errors, [np.sqrt(np.mean(difference**2))] * 4, rtol=1e-4)
    assert errors[0] < 0.1


@pytest.mark.parametrize(
    ("factor", "shape", "numbers", "message"),
    [
        (3, (6, 8, 2), 384, "factor=3 makes 864 numbers from an image .* have 384; choose the factor"),
        (2, (48,), 192, r"Bicubic\(\) upscales images .* have shape \(48,\)"),
    ],
)
def test_targets_of_another_shape_raise(factor, shape, numbers, message):
    split = Split(np.zeros((4, *shape), np.float32), np.zeros((4, numbers), np.float32))
    with pytest.raises(UsageError, match=message):
        Bicubic(factor).check(Dataset("images", split, split, split))
