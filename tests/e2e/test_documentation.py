"""The Python examples of README.md and docs/ run from files outside the repository.

The blocks of a page run in order in one namespace, with `from dlm import *` and small data. A block with `def study()`
is also run as an experiment file by launch.py. Studies are cut to a few sizes and steps. A block after the comment
`<!-- not executed: reason -->` is skipped.
"""

import dataclasses
import os
import re
import subprocess
import sys
import textwrap

import pytest
from command import ROOT, SCRIPT

BLOCK = re.compile(r"(<!-- not executed: .+? -->\s*)?^([ ]*)```python\n(.*?)^\2```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CUTS = ("train_sizes=64,128,256", "seeds=1", "budget.steps=5", "budget.epochs=0", "budget.patience=0")

PRELUDE = '''
import dataclasses
import numpy as np
import dlm
from dlm import *

def cut(study):
    """The study with its first learner and the classical ones, three sizes, one seed and five steps."""
    learners = {
        name: learner
        for number, (name, learner) in enumerate(study.learners.items())
        if number == 0 or not isinstance(learner, Learner)
    }
    sizes, budget = study.train_sizes[:3], Budget(steps=5)
    return dataclasses.replace(study, learners=learners, tuning={}, train_sizes=sizes, seeds=1, budget=budget)

_run = dlm.run
dlm.run = lambda study, *arguments, **options: _run(cut(study), *arguments, **options)
'''
EPILOGUE = """
for _value in list(globals().values()):
    if isinstance(_value, type) and _value.__module__ == "__main__" and dataclasses.is_dataclass(_value):
        if hasattr(_value, "load"):  # a data source
            assert len(_value().load().train) > 0
        if hasattr(_value, "net"):  # a model
            dlm.run(Study(Digits(), Classification(), {"own": Learner(_value())}, (64, 128, 256), seeds=1, name="own"))
"""
DATA = """
random = np.random.default_rng(0)
np.savez("mine.npz", x=random.normal(size=(2000, 5)).astype(np.float32), y=random.integers(0, 3, 2000))
for workdir in ("runs/digits", "runs/wide"):
    dlm.run(dlm.experiment.load("digits"), workdir)
"""


pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Block:
    line: int
    code: str
    is_experiment: bool


def blocks(page):
    """The executed blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(text[: match.start(3)].count("\n") + 1, textwrap.dedent(match[3]), "def study()" in match[3])
        for match in BLOCK.finditer(text)
        if not match[1]
    ]


def python(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr.decode(errors="replace")[-3000:]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the files that examples read: an array file and two workdirs."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "make.py").write_text(PRELUDE + DATA)
    python(folder, "make.py")
    return folder


PAGES_WITH_CODE = [page for page in PAGES if blocks(page)]
EXPERIMENTS = [(page, block) for page in PAGES for block in blocks(page) if block.is_experiment]


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: page.name)
def test_the_examples_of_a_page_run_in_order(page, data, tmp_path):
    if "pandas" in page.read_text(encoding="utf-8"):
        pytest.importorskip("pandas")
    for name in ("mine.npz", "runs"):
        (tmp_path / name).symlink_to(data / name)
    code = "\n".join(f"# {page.name}, line {block.line}\n{block.code}" for block in blocks(page))
    (tmp_path / "page.py").write_text(f"{PRELUDE}\n{code}\n{EPILOGUE}", encoding="utf-8")
    python(tmp_path, "page.py")


@pytest.mark.parametrize(
    ("page", "block"), EXPERIMENTS, ids=[f"{page.name}:{block.line}" for page, block in EXPERIMENTS]
)
def test_complete_experiments_run_from_a_file_outside_the_repository(page, block, tmp_path):
    (tmp_path / "example.py").write_text(block.code, encoding="utf-8")
    cuts = [f"--set={cut}" for cut in CUTS]
    python(tmp_path, SCRIPT, "--experiment=example.py", f"--workdir={tmp_path / 'run'}", "--fit_workers=1", *cuts)
