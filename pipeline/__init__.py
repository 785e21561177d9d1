"""Beam jobs: preprocess, caption, evaluate, and what they share."""
