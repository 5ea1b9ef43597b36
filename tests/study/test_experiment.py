"""Experiments are found by name or path, named without being run, and one that raises told with its line."""

import sys

import pytest

from dlm import Study, UsageError
from dlm.study import experiment

GOOD = '''"""How much is enough?

More.
"""

import dataclasses

from dlm import Budget, Learner, Study


@dataclasses.dataclass(frozen=True)
class Part:
    """Found through its module."""

    count: "int" = 1

    def load(self, data_dir=None):
        raise NotImplementedError


def study():
    learners = {"a": Learner(Part())}
    return Study(data=Part(), task=Part(), learners=learners, train_sizes=(10,), budget=Budget(steps=1))
'''


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_the_projects_experiments_are_found_listed_and_named():
    assert "digits" in experiment.names()
    path = experiment.find("digits")
    assert path.name == "digits.py"
    assert experiment.question(path).startswith("How many handwritten digits")
    assert experiment.load("digits").name == "digits"


def test_any_file_is_an_experiment_and_names_its_study(write):
    study = experiment.load(str(write(GOOD)))
    assert isinstance(study, Study)
    assert study.name == "mine"
    named = GOOD.replace("data=Part()", "name='other', data=Part()")
    assert experiment.load(str(write(named, "named.py"))).name == "other"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "--experiment=digit is unknown; did you mean 'digits'"),
        ("zzz", "--experiment=zzz is unknown; choose one of .*digits"),
        ("nowhere/mine.py", "the file does not exist"),
        ("experiments", "is unknown"),
        ("x" * 5000, "is unknown"),
        ("\0", "is unknown"),
    ],
)
def test_an_unknown_name_is_refused_with_similar_names(name, message):
    with pytest.raises(UsageError, match=message):
        experiment.find(name)


def test_a_file_that_is_not_a_module_is_refused(write):
    with pytest.raises(UsageError, match="cannot be loaded as a Python module"):
        experiment.load(str(write("{}", "study.json")))


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UsageError, match="the file does not exist"):
        experiment.load(str(tmp_path / "folder.py"))


@pytest.mark.parametrize(
    ("number", "text", "message"),
    [
        (0, "x = 1\n1 / 0\n", r":2 raised ZeroDivisionError: division by zero"),
        (1, "import sys\n\nsys.exit(0)\n", r":3 raised SystemExit"),
        (2, "import nowhere_at_all\n", r":1 raised ModuleNotFoundError"),
        (3, "x = 1\ndef study(:\n", r":2 raised SyntaxError"),
        (4, "def study():\n    return missing\n", r":2 raised NameError"),
        (5, "import json\n\ndef study():\n    return json.loads('{')\n", r":4 raised JSONDecodeError"),
        (6, "def study(size):\n    return size\n", r"raised TypeError"),
        (7, "x = 1\n", r"has no function study\(\)"),
        (8, "study = 3\n", r"has no function study\(\)"),
        (9, "def study():\n    return 3\n", r"study\(\) returned int; it must return a dlm\.Study"),
        (10, GOOD.replace("(10,)", "(0,)"), r"sizes=\(0,\)"),
        (11, b"\xff\xfe\x00", r"raised (SyntaxError|UnicodeDecodeError|ValueError)"),
    ],
)
def test_the_line_of_a_module_that_raises_is_reported(write, number, text, message):
    path = write(text, f"bad{number}.py")
    with pytest.raises(UsageError, match=message) as raised:
        experiment.load(str(path))
    if "raised" in message:
        assert str(path) in str(raised.value)
        assert raised.value.__cause__ is not None


def test_keyboard_interrupt_in_a_module_is_not_caught(write):
    with pytest.raises(KeyboardInterrupt):
        experiment.load(str(write("raise KeyboardInterrupt\n")))


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (GOOD, "How much is enough?"),
        ('"""\nOn the second line.\n"""\n', "On the second line."),
        ("import sys\nsys.exit(1)\n", ""),
        ("def study(:\n", "(not readable as Python)"),
        (b"\xff\xfe\x00", "(not readable as Python)"),
        (b"\xef\xbb\xbf'''With a mark.'''\n", "With a mark."),
    ],
)
def test_the_question_is_read_without_running_the_module(write, text, question):
    path = write(text)
    assert experiment.question(path) == question
    assert "experiments.mine" not in sys.modules or sys.modules["experiments.mine"].__file__ != str(path)


def test_the_question_of_a_missing_file_is_not_an_error(tmp_path):
    assert experiment.question(tmp_path / "gone.py") == "(not readable as Python)"
