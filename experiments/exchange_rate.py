"""Can a longer history of exchange rates be used at all to forecast them 96 days ahead?

    python launch.py --experiment=exchange_rate

Data: the TFDS set `exchange_rate` (Lai et al. 2018), daily rates of eight currencies, as array_record in --data_dir or
TFDS_DATA_DIR, cut 70/10/20 as in papers; a size is a number of latest windows of 96 days (docs/time_series.md).

Cost on two busy cores: 1 min 30 s, of which 50 s of processor time; 50 cells.
Result: no. Test MSE with the whole history 0.0811 (the last value again), 0.0809 (ar), 0.0831 (dlinear), 0.0833
(linear), 0.0915 (patchtst). The report says so: no learner that trains is shown to err less than the last value, ar
0.2 % less [-17.6, 18.1], dlinear 2.4 % more [-1.0, 5.8], linear 2.6 % more [-1.1, 6.3], patchtst 12 % more
[5.5, 18.6], of 14 stretches of 96 test windows. Published: 0.081 (the last value), 0.088 (DLinear, PatchTST).
The networks' numbers are of a few tries on the validation split, not of a search.
"""

from dlm import (
    AutoRegressive,
    Budget,
    DLinear,
    Forecasting,
    Hyper,
    Learner,
    LinearSeries,
    Optimizer,
    PatchTST,
    SeasonalNaive,
    Study,
    TfdsSeries,
)


def study() -> Study:
    """Five learners at five lengths of history, two seeds of initial weights."""
    return Study(
        data=TfdsSeries(
            "exchange_rate",
            context=96,
            horizon=96,
            index="time_index",
            train="train+validation[:50%]",
            validation="validation[50%:]",
        ),
        task=Forecasting(),
        learners={
            "last_value": SeasonalNaive(1),
            "ar": AutoRegressive(order=1),
            "linear": LinearSeries(alpha=100.0),
            "dlinear": Learner(
                DLinear(normalize="last"),
                Hyper(lr=1e-4),
                budget=Budget(epochs=2, min_steps=100, max_steps=300, batch_size=32),
            ),
            "patchtst": Learner(
                PatchTST(stride=16, depth=2, heads=2, hidden=32), Hyper(lr=1e-3, dropout=0.2), Optimizer(clip=1.0)
            ),
        },
        train_sizes=(256, 512, 1024, 2048, 5120),
        seeds=2,
        budget=Budget(epochs=2, min_steps=100, max_steps=200, batch_size=32),
    )
