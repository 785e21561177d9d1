"""Self-training: a captioner's own captions of unlabelled images, as data to train on."""
