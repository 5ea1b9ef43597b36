"""dlm.study."""
