"""A disk that is full, read-only or gone: a clear error, nothing finished is lost, and the same command goes on."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlm.storage import record_log

ROOT = Path(__file__).resolve().parents[2]
STUDY = [
    "--experiment=digits",
    "--learners=mlp,logreg",
    "--train_sizes=32,128",
    "--seeds=2",
    "--set=budget.epochs=10",
    "--save_seconds=0.1",
]


def run(folder):
    command = [sys.executable, str(ROOT / "launch.py"), *STUDY, f"--workdir={folder}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def numbers(folder):
    return {row.key: (row.value, row.status) for row in record_log.rows(folder)}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, and what fills it so that so many KiB are left."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")

    def leave(kilobytes):
        filler = tmp_path / "filler"
        filler.unlink(missing_ok=True)
        free = shutil.disk_usage(tmp_path).free
        filler.write_bytes(bytes(free - 1024 * kilobytes))

    yield tmp_path, leave
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_with_a_clear_error_and_more_room_with_the_same_numbers(disk, unbroken):
    folder, leave = disk
    used = sum(path.stat().st_size for path in unbroken.rglob("*") if path.is_file()) // 1024
    places = [0, 4, 8, 16, 64, 128, used // 2, used]
    refused = 0
    for kilobytes in places:
        leave(kilobytes)
        done = run(folder / "run")
        assert "Traceback" not in done.stderr
        refused += done.returncode != 0
        if done.returncode:
            assert done.returncode in (1, 2), done.stderr
            assert "No space left on device" in done.stderr
            assert numbers(folder / "run").items() <= numbers(unbroken).items()
    assert refused >= 4
    (folder / "filler").unlink()
    done = run(folder / "run")
    assert done.returncode == 0, done.stderr
    assert numbers(folder / "run") == numbers(unbroken)


def test_a_workdir_that_vanishes_ends_with_a_clear_error(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "launch.py"), *STUDY, "--fit_workers=0", f"--workdir={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
    )
    until = time.monotonic() + 120
    while not (folder / record_log.FILE).exists() and time.monotonic() < until:
        time.sleep(0.01)
    folder.rename(tmp_path / "elsewhere")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "was deleted or moved" in err or "No such file or directory" in err
    assert "run the same command again" in err
