"""`--set` reaches every field, keeps its type, and refuses the rest in words."""

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.study.config import fits
from dlm.study.overrides import apply, declared_type, parse, paths, restrict

if TYPE_CHECKING:
    from nowhere import Unknown


@dataclasses.dataclass(frozen=True)
class Data:
    rows: int = 100
    version: str = ""

    def load(self, data_dir=None):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Task:
    flip: bool = False


@dataclasses.dataclass(frozen=True)
class Model:
    widths: tuple[int, ...] = (8,)
    depths: tuple[int, ...] = (1,)
    crop: tuple[int, int] = (4, 4)
    names: tuple[str, ...] = ()
    stages: tuple[tuple[int, ...], ...] = ()
    norm: Literal["group", "layer"] = "group"
    bits: Literal[8, 16] = 8
    limit: int | None = None
    note: str | None = None
    inner: Budget | int = 3
    anything: Any = None

    def __post_init__(self):
        if len(self.widths) != len(self.depths):
            raise ValueError("as many depths as widths")


STUDY = Study(
    data=Data(),
    task=Task(),
    learners={"mlp": Learner(Model(), Hyper(lr=0.1)), "own": Learner(Model(), budget=Budget(steps=3))},
    train_sizes=(10, 20),
    seeds=2,
    budget=Budget(epochs=5),
    name="toy",
)


def value_at(config, path):
    for part in path.split("."):
        config = config[part] if hasattr(config, "keys") else getattr(config, part)
    return config


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train_sizes=1_000,30", (30, 1000)),
        ("train_sizes=(30,)", (30,)),
        ("seeds=4", (0, 1, 2, 3)),
        ("seeds=4,", (4,)),
        ("seeds=7,5", (7, 5)),
        ("level=.9", 0.9),
        ("targets=", ()),
        ("targets=0.1,1e-3", (0.1, 0.001)),
        ("data.rows = 7", 7),
        ("data.version=", ""),
        ("data.version=a=b", "a=b"),
        ("task.flip=TRUE", True),
        ("task.flip=0", False),
        ("budget.epochs=3", 3.0),
        ("learners.mlp.hyper.lr=1", 1.0),
        ("learners.mlp.optimizer.name=sgd", "sgd"),
        ("learners.mlp.model.norm=layer", "layer"),
        ("learners.mlp.model.bits=16", 16),
        ("learners.mlp.model.crop=[3, 5]", (3, 5)),
        ("learners.mlp.model.names=a,b", ("a", "b")),
        ("learners.mlp.model.limit=5", 5),
        ("learners.mlp.model.limit=none", None),
        ("learners.mlp.model.note=None", None),
        ("learners.mlp.model.note=5", "5"),
        ("learners.mlp.model.inner=5", 5),
        ("learners.own.budget.steps=9", 9),
    ],
)
def test_a_field_takes_a_value_of_its_type(text, value):
    path = text.partition("=")[0].strip()
    changed = value_at(apply(STUDY, [text]), path)
    assert changed == value
    assert type(changed) is type(value)


def test_only_the_named_field_changes():
    changed = apply(STUDY, ["learners.own.model.limit=5"])
    assert changed.learners["mlp"] == STUDY.learners["mlp"]
    assert dataclasses.replace(changed, learners=STUDY.learners) == STUDY
    assert STUDY.learners["own"].model.limit is None


def test_fields_with_a_common_rule_change_together():
    assert apply(STUDY, ["budget.steps=9", "budget.epochs=0"]).budget == Budget(steps=9)
    assert apply(STUDY, ["budget.epochs=0", "budget.steps=9"]).budget == Budget(steps=9)
    pair = ["learners.mlp.model.widths=8,16", "learners.mlp.model.depths=1,2"]
    assert apply(STUDY, pair).learners["mlp"].model.widths == (8, 16)


def test_the_last_assignment_of_a_path_counts():
    assert apply(STUDY, ["level=0.5", "level=0.8"]).level == 0.8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget.epoch=3", "no such field; did you mean 'budget.epochs'"),
        ("learners.mpl.hyper.lr=3", "did you mean 'learners.mlp.hyper.lr'"),
        ("budget.epochs.more=3", "no such field"),
        ("budget..epochs=3", "no such field"),
        ("budget.epochs", "not have the form path=value"),
        ("=3", "not have the form path=value"),
        ("", "not have the form path=value"),
        ("budget=3", r"not a single value; set one of budget\.steps"),
        ("learners=mlp", r"not a single value; set one of learners\.mlp\.model\.widths"),
        ("axes.points=3", "change it in the experiment file"),
        ("learners.mlp.model.stages=1,2", "change it in the experiment file"),
        ("learners.mlp.model.anything=1", "change it in the experiment file"),
        ("learners.mlp.budget=3", "not a single value"),
        ("learners.mlp.budget.steps=3", r"learners\.mlp\.budget is None in this study"),
        ("train_sizes=", "train_sizes="),
        ("train_sizes=10,,20", "comma-separated list, each an integer"),
        ("train_sizes=1e3", "comma-separated list, each an integer"),
        ("seeds=x", "seeds='x' is not an integer or a comma-separated list"),
        ("seeds=", "seeds="),
        ("seeds=-1", "seeds="),
        ("data.rows=3.5", r"data\.rows='3\.5' is not an integer"),
        ("data.rows=", "is not an integer"),
        ("level=nan", "is not a number"),
        ("level=1e999", "is not a number"),
        ("task.flip=maybe", "is not true or false"),
        ("learners.mlp.model.crop=1", "is not a comma-separated list of 2"),
        ("learners.mlp.model.norm=batch", "is not one of group, layer"),
        ("learners.mlp.model.bits=9", "is not one of 8, 16"),
        ("learners.mlp.model.limit=x", "is not an integer or none"),
        ("learners.mlp.model.widths=1,2", "Model refuses widths=.*as many depths as widths"),
        ("learners.mlp.hyper.dropout=1", r"hyper\.dropout=1\.0 must be below 1"),
        ("budget.epochs=0", r"budget\.steps=0 and budget\.epochs=0"),
    ],
)
def test_invalid_assignments_are_refused_with_a_remedy(text, message):
    with pytest.raises(UsageError, match=message):
        apply(STUDY, [text])


def test_an_unresolvable_hint_does_not_affect_other_fields():
    @dataclasses.dataclass(frozen=True)
    class Lazy:
        thing: "Unknown | None" = None
        count: int = 3

    study = dataclasses.replace(STUDY, learners={"lazy": Learner(Lazy())})
    assert apply(study, ["learners.lazy.model.count=4"]).learners["lazy"].model.count == 4


def test_every_path_accepts_its_current_value():
    offered = paths(STUDY)
    assert {"train_sizes", "budget.epochs", "learners.mlp.model.widths", "learners.own.budget.steps"} <= set(offered)
    for path in offered:
        value = value_at(STUDY, path)
        text = ",".join(map(str, value)) + "," * (len(value) == 1) if isinstance(value, tuple) else str(value)
        assert apply(STUDY, [f"{path}={text}"]) == STUDY, path


KNOWN = st.sampled_from(paths(STUDY))
WORDS = st.one_of(
    st.text(max_size=12),
    st.text("0123456789-+._,eE() []nN", max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.integers(-5, 2**40), max_size=4).map(lambda numbers: ",".join(map(str, numbers))),
)


@settings(deadline=None)
@given(text=st.one_of(st.text(), st.builds("{}={}".format, st.text(max_size=20), WORDS)))
def test_any_text_raises_only_usage_errors(text):
    with contextlib.suppress(UsageError):
        assert isinstance(apply(STUDY, [text]), Study)


@settings(deadline=None)
@given(path=KNOWN, word=WORDS)
def test_an_accepted_value_has_the_declared_type(path, word):
    try:
        changed = apply(STUDY, [f"{path}={word}"])
    except UsageError:
        return
    assert fits(value_at(changed, path), declared_type(STUDY, path))


@settings(deadline=None)
@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
def test_numbers_are_read_as_they_are_written(value):
    assert parse(str(value), type(value), "x") == value


@settings(deadline=None)
@given(st.lists(st.integers()).map(tuple))
def test_lists_are_read_as_they_are_written(value):
    assert parse(str(value), tuple[int, ...], "x") == parse(str(list(value)), tuple[int, ...], "x") == value


def test_learners_are_selected_by_name():
    assert restrict(STUDY, learners=["own"]).learners == {"own": STUDY.learners["own"]}
    assert list(restrict(STUDY, learners=["own", "mlp", "own"]).learners) == ["mlp", "own"]
    with pytest.raises(UsageError, match=r"--learners=mpl is not a learner .*did you mean 'mlp'"):
        restrict(STUDY, learners=["mpl"])
