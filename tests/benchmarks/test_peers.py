import pytest

from benchmarks.peers import ray_data


def test_time_and_cpu_of_ray_are_of_the_same_images() -> None:
    # Start-up took 100 seconds of CPU until the first batch was done.
    batches = [(20.0, 105.0), (10.0, 100.0), (40.0, 130.0)]
    rows = [{"done": done, "cpu": cpu} for done, cpu in batches for _ in range(32)]
    assert ray_data.after_first(rows) == {"images": 64, "seconds": 30.0, "cpu_seconds": 30.0}
    with pytest.raises(ValueError, match="32 images are one batch"):
        ray_data.after_first(rows[:32])
