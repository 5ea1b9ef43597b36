"""Four virtual CPU devices, of which most tests use two, and compiled programs kept between runs of the tests."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "xla"))
os.environ.setdefault("PYTHONPATH", str(ROOT))

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from dlm.train import devices  # noqa: E402

devices.configure(num_cpu_devices=4)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def digits():
    """The digits data set as Arrays."""
    from dlm.data import Digits

    return Digits().load()


@pytest.fixture(scope="session")
def shared_tfds():
    """A folder of prepared TFDS sets, beside the project where there is one."""
    folder = Path(os.environ.get("TFDS_DATA_DIR", ROOT.parent / "shared" / "tfds"))
    if not (folder / "fashion_mnist").is_dir():
        pytest.skip(f"no prepared TFDS data in {folder}; name a folder with TFDS_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def bits_equal():
    """Whether two trees of arrays are the same, bit for bit."""

    def equal(first, second):
        pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
        return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)

    return equal
