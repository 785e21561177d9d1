"""The preprocessing job: images and captions to a data set."""
