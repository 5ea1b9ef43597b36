import dataclasses

import numpy as np
import pytest
from small import small

import dlm
from dlm.analysis.decision import decide
from dlm.curves.types import Curve
from dlm.execution.executor import run_trials
from dlm.study.study import Costs

SIZES = (64, 128, 256, 512, 1024)


def curve(name="a", floor=0.0, num_test=20_000):
    errors = tuple((floor + 0.8 * size**-0.35,) * 3 for size in SIZES)
    return Curve(name, SIZES, errors, num_test=num_test)


def test_cheap_labels_are_bought_and_expensive_ones_are_not():
    cheap = decide([curve()], Costs(per_example=0.01, per_error=10_000), {})
    expensive = decide([curve()], Costs(per_example=10, per_error=10_000), {})
    assert cheap.best.more > 1000
    assert cheap.best.cost < cheap.stop.cost
    assert cheap.best.pays_off > 0.9
    assert expensive.best.more == 0
    assert expensive.best is expensive.stop


def test_the_best_purchase_has_the_least_expected_cost_of_the_formula():
    """For a power law without noise the optimum is close to that of the formula."""
    costs = Costs(per_example=0.05, per_error=10_000)
    decision = decide([curve(num_test=10**6)], costs, {})
    sizes = np.array([1024 + purchase.more for purchase in decision.purchases])
    expected = costs.per_example * (sizes - 1024) + costs.per_error * 0.8 * sizes**-0.35
    assert decision.best.cost == min(purchase.cost for purchase in decision.purchases)
    assert decision.best.cost == pytest.approx(expected.min(), rel=0.1)
    assert 0.4 < (1024 + decision.best.more) / sizes[expected.argmin()] < 2.5


def test_training_time_has_a_price():
    seconds = {"a": {512: 100.0, 1024: 200.0}}
    free, priced = (decide([curve()], Costs(0.0, hour, 1000.0), seconds) for hour in (0.0, 50.0))
    difference = [with_price.cost - without.cost for without, with_price in zip(free.purchases, priced.purchases)]
    assert difference[0] == pytest.approx(50 * 200 / 3600)
    assert difference[-1] == pytest.approx(50 * 200 / 3600 * (1024 + free.purchases[-1].more) / 1024)


def test_the_best_learner_at_each_size_is_used():
    late = Curve("late", SIZES, tuple((2.2 * size**-0.5,) * 3 for size in SIZES), num_test=20_000)
    early = Curve("early", SIZES, tuple((0.05 + 0.02 * size**-0.2,) * 3 for size in SIZES), num_test=20_000)
    decision = decide([late, early], Costs(per_error=1.0), {})
    assert decision.stop.learner == "early"
    assert decision.purchases[-1].learner == "late"


def test_values_of_more_labels_are_falls_of_the_error():
    decision = decide([curve()], Costs(per_example=1.0, per_error=500.0), {})
    values = {value.more: value for value in decision.values}
    assert list(values) == [100, 1000, 10_000]
    assert values[100].fall < values[1000].fall < values[10_000].fall
    for value in values.values():
        assert value.low <= value.fall <= value.high
        assert value.saved == pytest.approx(500 * value.fall)


def test_no_curve_supports_a_decision():
    short = dataclasses.replace(curve(), train_sizes=SIZES[:2], errors=curve().errors[:2])
    with pytest.raises(dlm.UsageError, match="measure at least 3 sizes"):
        decide([short], Costs(per_error=1.0), {})


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"per_example": -1, "per_error": 5}, "costs.per_example=-1 must be a number of at least 0"),
        ({"per_error": float("nan")}, "costs.per_error=nan must be"),
        ({"per_hour": "1"}, "costs.per_hour='1' must be"),
        ({"per_example": 2}, "costs.per_error=0 makes more data worthless"),
    ],
)
def test_invalid_prices_are_refused(prices, message):
    with pytest.raises(dlm.UsageError, match=message.replace(".", r"\.")):
        Costs(**prices)


def test_a_study_with_prices_reports_its_decision(tmp_path, launch):
    learners = {"bayes": dlm.GaussianNB(), "knn": dlm.KNeighbors()}
    run_trials(small(learners=learners, costs=Costs(per_example=0.01, per_error=100.0)), tmp_path)
    result = dlm.decide(tmp_path)
    dlm.write_report(tmp_path)
    assert "Collect more data or stop" in (tmp_path / "report.html").read_text()
    code, out, _ = launch("--mode=decide", f"--workdir={tmp_path}", "--costs=per_example=0,per_error=100")
    assert (code, result.best.more) == (0, result.best.more)
    assert "Value of more labels" in out
    code, _, err = launch("--mode=decide", f"--workdir={tmp_path}", "--costs=per_example=-3,per_error=100")
    assert code == 2
    assert "costs.per_example=-3.0 must be a number of at least 0" in err
