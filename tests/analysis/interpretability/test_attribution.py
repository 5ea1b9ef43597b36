"""Attributions of a linear value are known exactly; of a curved one they add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlm.analysis.interpretability.attribution import (
    completeness,
    integrated_gradients,
    occlusion,
    smooth_grad,
    windows,
)

DRAW = np.random.default_rng(0)
W = DRAW.normal(size=(5, 4)).astype(np.float32)
X = DRAW.normal(size=(3, 5, 4)).astype(np.float32)
REFERENCE = np.broadcast_to(DRAW.normal(size=(1, 5, 4)).astype(np.float32), X.shape)


def linear(points):
    return (points * W[None]).sum(axis=(1, 2)) + 2.0


def curved(points):
    return jax.nn.relu(points @ W.T - 0.3).sum(axis=(1, 2)) + jnp.sin(points).sum(axis=(1, 2))


def test_integrated_gradients_of_a_linear_value_are_weight_times_difference():
    found = integrated_gradients(linear, X, REFERENCE, steps=3)
    np.testing.assert_allclose(found, W[None] * (X - REFERENCE), atol=1e-5)


def test_integrated_gradients_of_a_curved_value_add_up_to_the_difference_of_outputs():
    coarse, fine = (integrated_gradients(curved, X, REFERENCE, steps) for steps in (2, 256))
    sums, differences = completeness(curved, X, REFERENCE, fine)
    np.testing.assert_allclose(sums, differences, rtol=0.01, atol=0.01)
    crude, _ = completeness(curved, X, REFERENCE, coarse)
    assert np.abs(crude - differences).max() > 5 * np.abs(sums - differences).max()


def test_smooth_grad_of_a_linear_value_is_the_weights():
    found = smooth_grad(linear, X, jax.random.key(0), samples=4)
    np.testing.assert_allclose(found, np.broadcast_to(W[None], X.shape), atol=1e-5)


def test_smooth_grad_averages_the_gradient_under_noise():
    # The gradient of |x| at 0.01 is 1; under noise of a range of 2 it is nearly 0.
    x = jnp.array([[0.01, 1.0, -1.0]])
    found = smooth_grad(lambda points: jnp.abs(points[:, 0]), x, jax.random.key(0), spread=0.5, samples=512)
    assert abs(found[0, 0]) < 0.2


@pytest.mark.parametrize("with_channels", [False, True])
def test_occlusion_of_a_linear_value_is_weight_times_difference(with_channels):
    places = (5,) if with_channels else (5, 4)
    found = occlusion(linear, X, REFERENCE, jnp.asarray(windows(places, 1, 1)))
    exact = W[None] * (X - REFERENCE)
    np.testing.assert_allclose(found, exact.sum(axis=2) if with_channels else exact, atol=1e-4)


def test_a_window_s_fall_is_dealt_out_evenly_to_its_places():
    found = occlusion(linear, X, REFERENCE, jnp.asarray(windows((5, 4), 2, 1)))
    exact = W[None] * (X - REFERENCE)
    np.testing.assert_allclose(found[:, 0, 0], exact[:, :2, :2].mean(axis=(1, 2)), atol=1e-4)


@pytest.mark.parametrize(
    ("places", "width", "stride"), [((8, 8), 2, 1), ((28, 27), 4, 3), ((7,), 3, 3), ((2, 9), 4, 2)]
)
def test_windows_cover_every_place(places, width, stride):
    found = windows(places, width, stride)
    assert found.any(axis=0).all()
    assert {window.sum() for window in found} == {np.prod([min(width, size) for size in places])}
