"""The whole answer: predictions, needs, notes, and that it always becomes JSON."""

import dataclasses
import json

import numpy as np
import pytest

from dlm.curves import Curve, summarize

SIZES = (64, 128, 256, 512, 1024, 2048, 4096)


def curve(name, law=lambda n: 0.05 + 2.0 * n**-0.5, train_sizes=SIZES, num=3, noise=0.02, **fields):
    rng = np.random.default_rng([*name.encode()])
    errors = (law(n) * np.exp(noise * rng.standard_normal(num)) for n in train_sizes)
    return Curve(name, tuple(train_sizes), tuple(tuple(map(float, row)) for row in errors), **fields)


def test_predictions_and_figure():
    result = summarize([curve("a")], multiples=(2, 10)).learners[0]
    assert [p.train_size for p in result.predictions] == [8192, 40960]
    for prediction in result.predictions:
        assert isinstance(prediction.train_size, int)
        assert prediction.low < 0.05 + 2.0 * prediction.train_size**-0.5 < prediction.high
        assert prediction.low <= prediction.median <= prediction.high
    train_sizes = [p.train_size for p in result.fitted]
    assert train_sizes == sorted(set(train_sizes))
    assert (train_sizes[0], train_sizes[-1]) == (64, 40960)
    assert len(train_sizes) >= 50
    assert result.note == ""
    assert "error ≈" in result.law


def test_needs():
    met, soon, never = summarize([curve("a", noise=0.01)], targets=(0.15, 0.075, 0.01)).learners[0].required_sizes
    assert met.kind == "reached"
    assert met.median == pytest.approx(400, rel=0.1)  # 0.05 + 2/sqrt(400) = 0.15
    assert met.p_reachable == 1.0
    assert soon.kind == "interval"
    assert soon.low < 6400 < (soon.high or np.inf)
    assert never.kind in ("not reachable", "unsupported")
    assert never.median is None
    assert never.p_reachable < 0.2


def test_a_target_met_at_the_smallest_size():
    need = summarize([curve("a")], targets=(0.9,)).learners[0].required_sizes[0]
    assert (need.kind, need.median) == ("reached", 64.0)


def test_too_few_sizes():
    two, three, none = summarize(
        [
            curve("two", train_sizes=(64, 128)),
            curve("three", train_sizes=(64, 128, 256)),
            curve("none", train_sizes=()),
        ],
        targets=(0.06, 0.9),
    ).learners
    assert two.predictions == two.fitted == ()
    assert two.law == ""
    assert two.note == "2 sizes are too few to fit a law; measure at least 3"
    assert two.required_sizes[0].kind == "undetermined"
    assert two.required_sizes[1].kind == "reached"
    assert [item.train_size for item in three.predictions] == [512], "twice the data is carried, ten times is not"
    assert three.note == "3 sizes over a span of 4x do not support a 10x extrapolation; add sizes"
    assert three.fitted[-1].train_size == 512
    assert none.required_sizes[0].kind == "undetermined"


def test_lost_seeds_are_counted_and_gone():
    ragged = Curve("r", (64, 128, 256, 512), ((0.5, float("nan")), (0.4,), (float("inf"),), (0.3, 0.28)), num_failed=1)
    result = summarize([ragged]).learners[0]
    assert result.curve.train_sizes == (64, 128, 512)
    assert result.curve.errors == ((0.5,), (0.4,), (0.3, 0.28))
    assert result.curve.num_failed == 3


def test_a_wrong_bound_is_a_note():
    result = summarize([curve("a", bound=(0.0, 0.1)), curve("b")]).learners
    assert "above bound 0.1" in result[0].note
    assert result[1].predictions


def test_test_set_size_is_the_noise_of_single_seeds():
    small, large = (summarize([curve("a", num=1, noise=0.0, num_test=num)]).learners[0] for num in (50, 100_000))
    width = [result.predictions[0].high / result.predictions[0].low for result in (small, large)]
    assert width[0] > width[1]


def test_becomes_json_whatever_the_curves():
    odd = [
        curve("a"),
        curve("b", lambda n: 0.3),
        curve("rising", lambda n: 0.1 * n**0.1),
        curve("zero", lambda n: 0.0, num_test=100),
        curve("half zero", lambda n: 0.1 * (n < 300)),
        curve("one seed", num=1),
        curve("two", train_sizes=(64, 128)),
        curve("three", train_sizes=(64, 128, 256)),
        curve("none", train_sizes=()),
        curve("loss", lambda n: 1e5 * n**-0.1, bound=(0.0, None), unit="nats"),
        curve("dead", lambda n: float("nan")),
    ]
    result = summarize(odd, targets=(0.0, 0.06, 0.5, 1e9), multiples=(1.5, 2, 10))
    text = json.dumps(dataclasses.asdict(result), allow_nan=False)
    assert json.loads(text)["multiples"] == [1.5, 2.0, 10.0]
    assert len(result.learners) == len(odd)
    assert {need.target for need in result.learners[0].required_sizes} == {0.0, 0.06, 0.5, 1e9}


def test_nothing_asked():
    result = summarize([], multiples=())
    assert result.learners == result.crossovers == ()
    assert summarize([curve("a")], multiples=()).learners[0].predictions == ()


def test_overtakes_are_pairs_and_order_does_not_matter():
    curves = [curve("a"), curve("b", lambda n: 0.02 + 4.0 * n**-0.6), curve("c", lambda n: 0.4)]
    result, turned = summarize(curves), summarize(curves[::-1])
    assert {frozenset((o.incumbent, o.challenger)) for o in result.crossovers} == {
        frozenset(pair) for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    }
    assert {(o.incumbent, o.challenger, o.kind) for o in result.crossovers} == {
        (o.incumbent, o.challenger, o.kind) for o in turned.crossovers
    }
    assert result.learners == turned.learners[::-1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"targets": (-0.1,)}, "target=-0.1 is not a non-negative number"),
        ({"multiples": (0,)}, "multiple=0 is not a positive number"),
        ({"level": 1.0}, "level=1.0 is not in"),
    ],
)
def test_errors(asked, message):
    with pytest.raises(ValueError, match=message):
        summarize([curve("a")], **asked)


def test_a_test_split_too_small_for_its_errors_is_said() -> None:
    train_sizes = (32, 64, 128, 256, 512)
    errors = tuple((0.6 / size**0.5,) * 4 for size in train_sizes)
    few, many = (summarize([Curve("a", train_sizes, errors, num_test=count)]).learners[0] for count in (360, 100_000))
    assert "10 mistakes in 360 test examples" in few.note
    assert few.predictions
    assert many.note == ""


@pytest.mark.parametrize("target", [1, 5, 500])
def test_target_of_an_error_rate_must_be_below_1(target):
    curve = Curve("cnn", (100, 200, 400), ((0.3,), (0.2,), (0.15,)), "error rate", (0.0, 1.0))
    with pytest.raises(ValueError, match=f"target error {target} is not below 1"):
        summarize([curve], targets=(target,))
    loss = Curve("gpt", (100, 200, 400), ((30.0,), (20.0,), (15.0,)), "nats", (0.0, None))
    assert summarize([loss], targets=(target,)).learners
