"""Choice of a configuration by cross-validation."""
