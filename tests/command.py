"""What tests of the command line share, beside the fixture `launch`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "launch.py"


def contents(folder):
    """Every file below a folder, with its bytes; None where there is no folder."""
    if not folder.exists():
        return None
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(outcome, message=""):
    code, out, err = outcome
    assert code == 2, err
    assert out == ""
    assert err.startswith("dlm: ")
    assert err.count("\n") == 1
    assert message in err


def run(*arguments, code=None):
    """Run launch.py, or some code, with flags in a process of its own."""
    command = [sys.executable, *(["-c", code] if code else [str(SCRIPT)]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
