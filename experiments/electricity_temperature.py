"""How long a history does it take to forecast a transformer's load and oil temperature four days ahead?

python launch.py --experiment=electricity_temperature
"""

from dlm import Budget, Hyper, Learner, Optimizer, Study
from dlm.baselines import AutoRegressive, LinearSeries, SeasonalNaive
from dlm.data import TfdsSeries
from dlm.models import DLinear, PatchTST
from dlm.tasks import Forecasting


def study() -> Study:
    """Five learners at five lengths of history, two seeds of initial weights."""
    return Study(
        data=TfdsSeries("ett/h1", context=336, horizon=96, index="time_index"),
        task=Forecasting(),
        learners={
            "last_day": SeasonalNaive(24),
            "ar": AutoRegressive(order=24),
            "linear": LinearSeries(alpha=100.0),
            "dlinear": Learner(
                DLinear(normalize="last"),
                Hyper(lr=1e-3),
                budget=Budget(epochs=5, min_steps=300, max_steps=1000, batch_size=32),
            ),
            "patchtst": Learner(
                PatchTST(stride=16, depth=2, heads=2, hidden=32), Hyper(lr=3e-3, dropout=0.2), Optimizer(clip=1.0)
            ),
        },
        sizes=(512, 1024, 2048, 4096, 8209),
        seeds=2,
        budget=Budget(epochs=2, min_steps=100, max_steps=300, batch_size=32),
    )
