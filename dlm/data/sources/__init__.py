"""dlm.data.sources."""
