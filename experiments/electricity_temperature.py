"""How long a history does it take to forecast a transformer's load and oil temperature four days ahead?

    python launch.py --experiment=electricity_temperature

Data: the TFDS set `ett/h1` (Zhou et al. 2021), hourly load and oil temperature of two years, as array_record in
--data_dir or TFDS_DATA_DIR: all seven series are forecast 96 hours ahead from the 336 before, on the usual split of 12,
4 and 4 months; a size is a number of latest windows (docs/time_series.md). The error is the MSE of scaled values.

Cost on two cores: 3 min 30 s beside other work, 2 min 30 s of processor time; 50 cells.
Result: mean test MSE with the whole history 0.370 (linear, by least squares), 0.371 (dlinear), 0.391 (patchtst), 0.502
(ar), 0.512 (last_day); with 512 windows, three weeks more than one window takes, 0.432, 0.417, 0.430, 0.671 and 0.512.
Papers give 0.375 (DLinear) and 0.370 (PatchTST, much larger). Two linear maps are
as good as larger networks on this history; whether a network becomes better with more is undetermined.
The ridge penalty was chosen on the validation split; the networks' settings from a few trials.
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
        train_sizes=(512, 1024, 2048, 4096, 8209),
        seeds=2,
        budget=Budget(epochs=2, min_steps=100, max_steps=300, batch_size=32),
    )
