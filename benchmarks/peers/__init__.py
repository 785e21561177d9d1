"""What else one would caption images with, each written as its own documentation shows.

Every module has `run`, which captions a folder in a process of its own and reports images and
seconds, start-up and a first batch not counted. All but the transformers of Hugging Face run the
same captioner: its CNN as a Keras model, its search as the captioner's own TensorFlow graph.
"""
