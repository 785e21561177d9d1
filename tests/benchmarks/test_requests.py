from benchmarks import requests


def test_runs_are_solved_for_what_a_job_an_image_and_a_unit_cost() -> None:
    rows = [
        {
            "images": images,
            "units": units,
            "GET": 37 + 8 * images + 17 * units,
            "list": 4,
            "POST": 17 + 10 * units,
            "DELETE": 2 * units,
        }
        for images, units in ((20, 1), (60, 3), (60, 10))
    ]
    solved = requests.solve(rows)
    assert solved["a job"] == {"GET": 37, "list": 4, "POST": 17, "DELETE": 0}
    assert solved["an image"] == {"GET": 8, "list": 0, "POST": 0, "DELETE": 0}
    assert solved["a unit"] == {"GET": 17, "list": 0, "POST": 10, "DELETE": 2}
