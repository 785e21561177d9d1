"""Speed and memory of the commands, beside what others offer, measured side by side in one run."""
