"""Laws fitted in closed form: the planted one is found, odd curves give numbers."""

import numpy as np
import pytest

from dlm.curves.network import NUM_FAMILIES, NUM_FITS, closed_form_fits
from dlm.curves.points import make_points
from dlm.curves.predictive import context_of

SIZES = 50.0 * 2.0 ** np.arange(9)
AHEAD = np.log(np.array([[2.0, 8.0]]))
LAWS = {
    0: lambda x: 0.2 + 0.8 * x**-0.3,
    1: lambda x: 0.1 + (x + 0.05) ** -0.75,
    2: lambda x: 0.3 + 2 * np.exp(-((x / np.exp(-3.0)) ** 0.35)),
    3: lambda x: 0.3 + 2 / (1 + (x / np.exp(-2.0)) ** 0.75),
    4: lambda x: 0.05 + np.exp(-0.05 * np.log(x) - 0.55 * 0.35 * np.log1p((x / np.exp(-2.2)) ** (1 / 0.35))),
}


def guesses_of(errors, train_sizes=SIZES, place=AHEAD):
    return closed_form_fits(context_of(make_points(train_sizes, errors), (0.0, None)), place)


@pytest.mark.parametrize("family", LAWS)
def test_a_law_of_the_grid_is_found(family):
    law = LAWS[family]
    told = guesses_of(law(SIZES / SIZES[-1]))
    truth = np.log(law(np.exp(AHEAD[0])) / law(1.0))
    for column in (family, NUM_FAMILIES + family):
        assert told.mean[0, :, column] == pytest.approx(truth, abs=0.03)
        assert told.misfit[0, column] < 1e-3
    assert told.mean.shape == (1, 2, NUM_FITS)


def test_what_fits_worse_is_believed_less():
    told = guesses_of(LAWS[0](SIZES / SIZES[-1]) * np.where(np.arange(9) % 2, 1.3, 0.8))
    assert (told.sd[0] > 0.01).all()
    assert (told.misfit[0] > 0.03).all()


@pytest.mark.parametrize(
    "errors",
    [
        [0.5] * 9,
        [0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7],
        [1e-9, 1.0, 1e-9, 1.0, 1e-9, 1.0, 1e-9, 1.0, 1e-9],
        [1.0, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-16],
    ],
)
def test_odd_curves_give_numbers(errors):
    told = guesses_of(errors, place=np.array([[-30.0, -3.0, 0.0, 1.0, 14.0]]))
    assert all(np.isfinite(column).all() for column in told)
