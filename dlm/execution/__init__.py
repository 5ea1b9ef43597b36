"""dlm.execution."""
