"""dlm.curves.data_efficiency."""
