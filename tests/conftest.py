"""Four virtual CPU devices, of which most tests use two, and compiled programs kept between runs of the tests.

XLA optimizes little, as most of the tests' time is compilation. Tests of equal bits have the mark `exact`; .ci/run
repeats them, and runs the slow ones, with an empty XLA_FLAGS: with the programs that users get.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "xla"))
os.environ.setdefault("PYTHONPATH", str(ROOT))
os.environ["DLM_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "dlm")

import jax  # noqa: E402

QUICK = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if jax.__version_info__ < (0, 11):  # later ones have no such option, and end at one they do not know
    QUICK += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", QUICK)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402
from programs import share_programs  # noqa: E402

from dlm import cli  # noqa: E402
from dlm.execution import preparation  # noqa: E402
from dlm.train import devices, profiling  # noqa: E402

devices.configure(num_cpu_devices=4)
profiling.PROBE_SECONDS = 0.0  # nobody waits for the time left of a test: one call tells a speed too
preparation.default_fit_workers = lambda: 0  # a process of its own takes seconds to start
jax.config.update("jax_numpy_rank_promotion", "raise")
if os.environ["XLA_FLAGS"] == QUICK:
    share_programs()


def pytest_collection_modifyitems(items):
    """The folders with the longest files first, so that both processes end at the same time."""
    first = ("train", "e2e", "models", "execution", "storage", "benchmarks", "baselines", "tasks")
    items.sort(key=lambda item: next((at for at, name in enumerate(first) if f"tests/{name}/" in item.nodeid), 99))


@pytest.fixture(scope="session")
def digits():
    """The digits dataset."""
    from dlm.data import Digits

    return Digits().load()


@pytest.fixture(scope="session")
def shared_tfds():
    """A folder of prepared TFDS sets, beside the project where there is one."""
    pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds: tensorflow-datasets")
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


@pytest.fixture
def launch(capsys, monkeypatch, tmp_path):
    """Runs the command line with flags in an empty folder: (exit code, stdout, stderr)."""
    # JAX is set up for all tests already, and cannot be again.
    monkeypatch.setattr(devices, "configure", lambda *_: None)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def launch(*arguments):
        try:
            code = cli.main(["launch.py", *map(str, arguments)])
        finally:
            flags.FLAGS.unparse_flags()
        return code, *capsys.readouterr()

    return launch
