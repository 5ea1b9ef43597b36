"""dlm.data.tfds."""
