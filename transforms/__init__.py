"""What is done to one record or one batch; knows nothing of flags and jobs."""
