"""How many ratings does it take to predict a user's rating of a film, and does factorization beat plain biases?

    python launch.py --experiment=movielens --data_dir=FOLDER

Data: TFDS `movielens/latest-small-ratings` (Harper & Konstan 2015), prepared as array_record in FOLDER or
TFDS_DATA_DIR: 100,836 ratings by 610 users; random tenths are held out for test and for validation. With
`--set data.split=last --train_sizes=10000,99616` it is each user's last rating in time, which is harder.

Cost on two cores: 4 min 18 s beside much other work, 1 min 48 s of one core in all; 60 cells.
Result: mean test RMSE with all 80,668 ratings 0.859 (factors), 0.855 (biases), 0.833 (neighbours), 0.855 (als). Deep
does not overtake here: the factors by gradients are the last at 10,000 and 30,000 (0.971, 0.924), and all but catch up
with the biases at the end. Of each user's last rating, with 99,616: 0.990, 0.958, 0.949, 0.953.
The numbers were chosen on the validation split, of all ratings mostly; the test split was only reported.
"""

from dlm import (
    AlternatingLeastSquares,
    BiasModel,
    Budget,
    Hyper,
    ItemKNN,
    Learner,
    MatrixFactorization,
    Ratings,
    Regression,
    Study,
)


def study() -> Study:
    """Factors by gradients and by least squares, neighbours and biases at five sizes, three seeds each."""
    return Study(
        data=Ratings(
            "movielens/latest-small-ratings", item="movie_id", rating="user_rating", time="timestamp", split="random"
        ),
        task=Regression(),
        learners={
            "factors": Learner(MatrixFactorization(vocabulary=10_334, dim=32), Hyper(lr=1e-2, weight_decay=1.0)),
            "biases": BiasModel(),
            "neighbours": ItemKNN(),
            "als": AlternatingLeastSquares(factors=10, regularization=0.2),
        },
        train_sizes=(1000, 3000, 10_000, 30_000, 80_668),
        seeds=3,
        budget=Budget(epochs=15, min_steps=300, batch_size=512, eval_every=100, patience=5),
        targets=(0.88, 0.85),
    )
