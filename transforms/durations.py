"""Durations as people read them."""


def clock(seconds: float) -> str:
    """Return a duration in seconds as minutes and seconds, `4:05`, and with hours `1:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
