"""What the units of the first layer look for: their weights, in the shape of the input."""

from __future__ import annotations

import numpy as np

from dlm.inside.network import Network

MOST = 64  # shown, the heaviest first


def filters(network: Network) -> np.ndarray | None:
    """Weights of the first layer's heaviest units, [F, ...]: h × w × channels of an image, columns of a table.

    None for tokens, whose first layer is a table of embeddings, and for a model whose config has no
    `filters(params, input_shape)`.
    """
    of_model = getattr(network.trial.learner.model, "filters", None)
    if of_model is None or network.spec.tokens:
        return None
    weights = np.asarray(of_model(network.params, network.spec.input_shape))
    heaviest = np.argsort(-np.square(weights).reshape(len(weights), -1).sum(axis=1), kind="stable")
    return weights[heaviest[:MOST]]
