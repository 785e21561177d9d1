"""Training: the decoders, the search, the methods and the export."""
