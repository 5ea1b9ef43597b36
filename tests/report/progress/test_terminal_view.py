"""A run and a watch in real terminals of 80×24, by tmux."""

import shlex
import shutil
import subprocess
import sys
import time
import uuid

import pytest
from command import ROOT, SCRIPT

pytestmark = pytest.mark.slow

STUDY = '''"""A small study that lasts long enough to be looked at."""
from dlm import Budget, Learner, Study
from dlm.baselines import LogisticRegression
from dlm.data import Digits
from dlm.models import MLP
from dlm.tasks import Classification


def study():
    learners = {"net": Learner(MLP((64,))), "logreg": LogisticRegression()}
    budget = Budget(steps=STEPS)
    return Study(
        data=Digits(),
        task=Classification(),
        learners=learners,
        train_sizes=(32, 64, 128),
        seeds=2,
        budget=budget,
        name="toy",
    )
'''


class Screens:
    """Terminals of a tmux server of its own."""

    def __init__(self, folder):
        self.socket = f"dlm-{uuid.uuid4().hex}"
        self.folder = folder

    def tmux(self, *arguments):
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def start(self, name, *flags, width=80):
        """Run launch.py in a new terminal, its standard output in a file; what it leaves stays to be looked at."""
        command = shlex.join([sys.executable, str(SCRIPT), *map(str, flags)])
        out = shlex.quote(str(self.folder / f"{name}.out"))
        shell = f"trap : INT; {command} >{out}; echo code $?; exec sleep 600"
        self.tmux(
            "new-session", "-d", "-e", "COLUMNS=200", "-s", name, "-x", width, "-y", 24, "-c", ROOT, "sh", "-c", shell
        )

    def lines(self, name):
        return [line.rstrip() for line in self.tmux("capture-pane", "-p", "-t", name).splitlines() if line.strip()]

    def until(self, name, *texts, seconds=120.0):
        """The first screen that holds all the texts."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lines = self.lines(name)
            if all(any(text in line for line in lines) for text in texts):
                return lines
            time.sleep(0.05)
        raise AssertionError(f"{texts} did not come: {self.lines(name)}")


@pytest.fixture
def screens(tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    screens = Screens(tmp_path)
    yield screens
    screens.tmux("kill-server")


def study_file(folder, steps):
    path = folder / "toy.py"
    path.write_text(STUDY.replace("STEPS", str(steps)))
    return path


def test_run_and_watch_display_the_study_and_leave_a_line(screens, tmp_path):
    workdir = tmp_path / "run"
    screens.start("run", f"--experiment={study_file(tmp_path, 100_000)}", f"--workdir={workdir}")
    end = time.monotonic() + 120
    while not (workdir / "study.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    screens.start("watch", "--mode=watch", f"--workdir={workdir}", width=60)
    seen = screens.until("run", "examples/s", "left", "%", "n=128")
    assert seen[0].startswith("toy · ")
    text = "\n".join(seen)
    for needed in ("learner", "n=128", "net", "logreg", "of 12 trials", "of memory", "time: "):
        assert needed in text
    watched = screens.until("watch", "toy · ", "of 12 trials", "logreg", "examples/s")
    assert max(map(len, watched)) <= 60
    for name in ("run", "watch"):
        last, *rest = screens.until(name, "code")
        assert last.startswith("done 100 % · 12 of 12 trials · ")
        assert rest == ["code 0"]
    assert "\x1b" not in (tmp_path / "run.out").read_text()
    assert (tmp_path / "watch.out").read_text() == ""


def test_ctrl_c_ends_the_watch_or_stops_the_run(screens, tmp_path):
    workdir = tmp_path / "workdir"
    screens.start("run", f"--experiment={study_file(tmp_path, 10_000_000)}", f"--workdir={workdir}")
    screens.until("run", "examples/s")
    screens.start("watch", "--mode=watch", f"--workdir={workdir}")
    screens.until("watch", "examples/s")
    screens.tmux("send-keys", "-t", "watch", "C-c")
    assert screens.until("watch", "code")[-1] == "code 130"
    screens.until("run", "examples/s")
    screens.tmux("send-keys", "-t", "run", "C-c")
    first, message, *_, last = screens.until("run", "code")
    assert first.startswith("stopped ")
    assert message.startswith("dlm: stopped by a signal; ")
    assert last == "code 130"
