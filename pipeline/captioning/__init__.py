"""The captioning job: images to a table of captions."""
