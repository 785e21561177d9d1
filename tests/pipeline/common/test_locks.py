"""Locks: one run at a time on one output, and no output locked for ever."""

import dataclasses
import itertools
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.api_core.exceptions import RetryError

from pipeline.common import locks
from tests.pipeline.common.conditional_bucket import ConditionalBucket
from transforms.errors import JobError, UsageError


def write(folder: Path, **changes: object) -> None:
    """Leave the lock of another run: of this process, as it would write it, but for changes."""
    with locks.held(str(folder)):
        owner = json.loads((folder / locks.NAME).read_text())
    (folder / locks.NAME).write_text(json.dumps({**owner, "token": "another", **changes}))


def held(folder: Path) -> bool:
    return (folder / locks.NAME).exists()


def test_a_lock_lasts_as_long_as_its_run(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b"
    with locks.held(str(output)):
        assert held(output)
        with pytest.raises(JobError, match="another run is at work on it") as caught:
            locks.held(str(output)).__enter__()
        assert f"process {os.getpid()} on" in str(caught.value)
        assert "--wait_for_lock" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list(output.iterdir()) == []
    with pytest.raises(ZeroDivisionError), locks.held(str(output)):
        _ = 1 / 0
    assert list(output.iterdir()) == []


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    output = str(tmp_path)
    free = threading.Event()

    def other() -> None:
        with locks.held(output):
            free.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(other)
        while not held(tmp_path):
            time.sleep(0.01)
        threading.Timer(0.2, free.set).start()
        with locks.held(output, wait_seconds=30):
            assert free.is_set()


def test_a_lock_of_a_process_that_is_gone_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    write(tmp_path, pid=int(done.stdout), beat=time.time())
    with locks.held(str(tmp_path)):
        assert "took over from a dead run (process" in capsys.readouterr().err
    assert not held(tmp_path)


def test_a_process_number_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    write(tmp_path, born="1")
    with locks.held(str(tmp_path)):
        pass


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"space": "another container"}])
def test_a_lock_of_another_machine_is_dead_when_it_is_not_renewed(
    tmp_path: Path, elsewhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    write(tmp_path, **elsewhere, pid=1, beat=time.time() - locks.DEAD_SECONDS + 30)
    with pytest.raises(JobError), locks.held(str(tmp_path)):
        pass
    write_again = json.loads((tmp_path / locks.NAME).read_text())
    write_again["beat"] -= 60
    (tmp_path / locks.NAME).write_text(json.dumps(write_again))
    with locks.held(str(tmp_path)):
        pass


def test_a_lock_of_a_machine_whose_clock_is_slow_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    path, beat = tmp_path / locks.NAME, time.time() - 2 * locks.DEAD_SECONDS
    write(tmp_path, host="another", beat=beat)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        # Meanwhile the run elsewhere, ten minutes behind, renews its lock, and then ends.
        slept.append(seconds)
        if len(slept) < 3:
            owner = json.loads(path.read_text())
            path.write_text(json.dumps({**owner, "beat": beat + len(slept)}))
        else:
            path.unlink()

    monkeypatch.setattr(locks.time, "sleep", sleep)
    watch = locks.BEATS_TO_WATCH * 0.02
    with pytest.raises(JobError, match="another run is at work"), locks.held(str(tmp_path)):
        pass
    assert slept == [watch]
    with pytest.raises(JobError), locks.held(str(tmp_path), watch=False):
        pass
    assert slept == [watch]
    owner = locks._take(locks._Folder(tmp_path), str(tmp_path), 3600)
    assert slept == [watch, watch, locks.POLL_SECONDS]
    assert locks.Hold(str(tmp_path), owner.token).stands()


def test_a_lock_that_is_given_back_while_it_is_read_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setattr(Path, "stat", lambda path: (tmp_path / "gone").read_bytes())
    assert locks._Folder(tmp_path).read() is None


def test_a_torn_lock_is_dead_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    path = tmp_path / locks.NAME
    path.write_text('{"token": ')
    with pytest.raises(JobError, match="an unknown machine"), locks.held(str(tmp_path)):
        pass
    old = time.time() - locks.DEAD_SECONDS - 1
    os.utime(path, (old, old))
    with locks.held(str(tmp_path)):
        pass


def test_a_full_disk_leaves_no_lock(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            locks.held(str(tmp_path)).__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    with locks.held(str(tmp_path)):
        pass


def test_of_many_that_find_a_dead_lock_one_takes_it(tmp_path: Path) -> None:
    write(tmp_path, born="1")
    inside, most = 0, 0
    count = threading.Lock()

    def run(_: int) -> None:
        nonlocal inside, most
        with locks.held(str(tmp_path), wait_seconds=60):
            with count:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with count:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    assert most == 1
    assert not held(tmp_path)


def test_a_living_run_renews_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    with locks.held(str(tmp_path)):
        first = json.loads((tmp_path / locks.NAME).read_text())
        deadline = time.monotonic() + 20
        while (now := json.loads((tmp_path / locks.NAME).read_text()))["beat"] == first["beat"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert {**now, "beat": 0} == {**first, "beat": 0}
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_lock_was_taken_over_says_so_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    ended = threading.Event()
    with (
        pytest.raises(JobError, match="took the output over"),
        locks.held(str(tmp_path), end=ended.set) as hold,
    ):
        hold.check()
        owner = locks.Owner(**json.loads((tmp_path / locks.NAME).read_text()))
        other = dataclasses.asdict(dataclasses.replace(owner, token="another"))
        temporary = tmp_path / "new"
        for _ in range(50):
            # The beat may be about to write over it.
            temporary.write_text(json.dumps(other))
            temporary.replace(tmp_path / locks.NAME)
            time.sleep(0.02)
        with pytest.raises(JobError, match="took the output over"):
            hold.check()
    assert ended.is_set()
    assert json.loads((tmp_path / locks.NAME).read_text())["token"] == "another"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConditionalBucket]:
    store = ConditionalBucket()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test")
    yield store
    store.close()


def test_a_lock_in_a_bucket_lasts_as_long_as_its_run(bucket: ConditionalBucket) -> None:
    with locks.held("gs://bucket/out"):
        assert list(bucket.objects) == ["out/.lock"]
        with pytest.raises(JobError, match="another run is at work on it"):
            locks.held("gs://bucket/out").__enter__()
        with locks.held("gs://bucket/other"):
            pass
    assert bucket.objects == {}


def test_of_many_that_find_a_dead_lock_in_a_bucket_one_takes_it(
    bucket: ConditionalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    with locks.held("gs://bucket/out"):
        owner = json.loads(bucket.objects["out/.lock"][1])
    dead = {**owner, "host": "elsewhere", "beat": time.time() - locks.DEAD_SECONDS - 1}
    bucket.objects["out/.lock"] = 7, json.dumps(dead).encode()
    taken = []

    def run(number: int) -> None:
        with locks.held("gs://bucket/out", wait_seconds=60):
            taken.append(number)
            time.sleep(0.05)
            assert taken[-1] == number
            taken.append(-number)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, (1, 2, 3)))
    assert [-number for number in taken[::2]] == taken[1::2]
    assert bucket.objects == {}


def test_a_living_run_renews_its_lock_in_a_bucket(
    bucket: ConditionalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    with locks.held("gs://bucket/out"):
        first = bucket.objects["out/.lock"][0]
        deadline = time.monotonic() + 20
        while bucket.objects["out/.lock"][0] == first:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert bucket.objects == {}


def test_a_lock_that_was_written_though_the_answer_got_lost_is_this_run_s(
    bucket: ConditionalBucket,
) -> None:
    bucket.lose_answers = 1
    with locks.held("gs://bucket/out") as hold:
        assert bucket.lose_answers == 0
        hold.check()
    assert bucket.objects == {}


def test_a_beat_survives_a_store_that_does_not_answer_for_long(
    bucket: ConditionalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    refused, first = threading.Event(), 0

    def never(store: locks._Bucket) -> None:
        refused.set()
        raise RetryError("Timeout of 120.0s exceeded", cause=None)

    with locks.held("gs://bucket/out"):
        with monkeypatch.context() as patch:
            patch.setattr(locks._Bucket, "read", never)
            assert refused.wait(20)
            first = bucket.objects["out/.lock"][0]
        deadline = time.monotonic() + 20
        while bucket.objects["out/.lock"][0] <= first + 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert bucket.objects == {}


def test_what_a_bucket_answers_is_told_in_one_line(
    bucket: ConditionalBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.objects["out/.lock"] = 1, b"{}"
    bucket.refuse = lambda method: 403
    with pytest.raises(OSError, match="the lock cannot be read or written: 403"):
        locks.held("gs://bucket/out").__enter__()

    def too_long(*_: object, **__: object) -> None:
        raise RetryError("Timeout of 120.0s exceeded", cause=None)

    bucket.refuse = lambda method: 0
    with monkeypatch.context() as patch:
        patch.setattr("google.cloud.storage.Blob.download_as_bytes", too_long)
        with pytest.raises(OSError, match=r"cannot be read or written: Timeout of 120\.0s"):
            locks.held("gs://bucket/out").__enter__()
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(OSError, match=r"cannot be read or written: File .*none\.json"):
        locks.held("gs://bucket/out").__enter__()


def test_how_a_run_ended_is_told_though_its_lock_cannot_be_given_back(
    bucket: ConditionalBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    with locks.held("gs://bucket/done"):
        bucket.refuse = lambda method: 403
    assert "gs://bucket/done: the lock is not given back" in capsys.readouterr().err
    bucket.refuse = lambda method: 0
    with pytest.raises(JobError, match="the books"), locks.held("gs://bucket/failed"):
        bucket.refuse = lambda method: 403
        raise JobError("the books do not balance")


def test_a_bucket_that_does_not_exist_is_said_to_be_missing(bucket: ConditionalBucket) -> None:
    asked = itertools.count()
    # The last answers only end a run that asks for ever.
    bucket.refuse = lambda method: 404 if next(asked) < 20 else 403
    with pytest.raises(UsageError, match="there is no bucket mistyped"):
        locks.held("gs://mistyped/out").__enter__()


def test_a_bucket_that_is_there_is_not_said_to_be_missing(bucket: ConditionalBucket) -> None:
    bucket.refuse = lambda method: 404 if method == "POST" else 0
    with pytest.raises(OSError, match="the lock cannot be read or written: 404 POST"):
        locks.held("gs://bucket/out").__enter__()


def test_a_store_without_locks_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with locks.held("s3://bucket/out"):
        assert "no lock is kept in this kind of store" in capsys.readouterr().err


def test_a_run_whose_command_has_ended_says_so(tmp_path: Path) -> None:
    with locks.held(str(tmp_path)) as hold:
        hold.check()
    with pytest.raises(JobError, match="the command that started this run has ended"):
        hold.check()
