"""dlm.utils."""
