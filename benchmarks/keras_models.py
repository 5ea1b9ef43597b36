"""The workloads as Keras models. Set KERAS_BACKEND before the import."""

from __future__ import annotations

from typing import Any

import keras

from benchmarks.models import Decoder
from benchmarks.workloads import LR, NUM_CLASSES, WEIGHT_DECAY, Workload
from dlm.models.mlp import MLP


def compiled(workload: Workload, steps_a_call: int) -> Any:
    """A model ready for `fit`, with AdamW on the mean cross-entropy; `steps_a_call` updates in one XLA program."""
    inputs = keras.Input(workload.input_shape)
    if isinstance(workload.model, Decoder):
        outputs = _decoder(workload.model, inputs)
    elif isinstance(workload.model, MLP):
        outputs = keras.layers.Flatten()(inputs)
        for width in workload.model.widths:
            outputs = keras.layers.Dense(width, "relu")(outputs)
        outputs = keras.layers.Dense(NUM_CLASSES)(outputs)
    else:
        outputs = inputs
        for channels in workload.model.channels:
            outputs = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(outputs)
            outputs = keras.layers.AveragePooling2D(2)(outputs)
        outputs = keras.layers.Dense(NUM_CLASSES)(keras.layers.Flatten()(outputs))
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.AdamW(LR, weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay([weight for weight in model.trainable_variables if len(weight.shape) < 2])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, steps_per_execution=steps_a_call)
    return model


def _decoder(config: Decoder, inputs: Any) -> Any:
    layers = keras.layers
    x = layers.Embedding(config.num_symbols, config.dim)(inputs)
    x = x + layers.Embedding(inputs.shape[1], config.dim)(keras.ops.arange(inputs.shape[1]))[None]
    for _ in range(config.depth):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.MultiHeadAttention(config.heads, config.dim // config.heads)(y, y, use_causal_mask=True)
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.Dense(4 * config.dim, lambda y: keras.activations.gelu(y, approximate=True))(y)
        x = x + layers.Dense(config.dim)(y)
    return layers.Dense(config.num_symbols)(layers.LayerNormalization(epsilon=1e-5)(x))
