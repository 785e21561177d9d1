"""The parts of `pipeline.evaluate`."""
