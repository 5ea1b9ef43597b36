"""What a language model writes at the end of its training."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from dlm.models.sampling import sample
from dlm.models.transformer import Transformer
from dlm.study import Trial

LENGTH, TEMPERATURE = 160, 0.8


def writes_texts(trial: Trial) -> bool:
    """Whether a trial's model gives a distribution of the next token to draw from."""
    model = getattr(trial.learner, "model", None)
    return isinstance(model, Transformer) and model.head == "tokens"


def text_of(trial: Trial, params: Any) -> str:
    """A text drawn from the model, from the beginning of a text on: the same for the same parameters and seed."""
    key = jax.random.key(trial.init_seed)
    local = jax.tree.map(np.asarray, params)  # of one member, away from the others' devices
    tokens = sample(trial.learner.model, local, np.zeros(1, np.uint8), LENGTH, key, TEMPERATURE)
    return tokens[1:].tobytes().decode(errors="replace")
