"""The decoder in a child process: the same pictures, and an end to what would not end."""

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults import deadly
from transforms import images
from transforms.images import ImageError, Limits
from transforms.isolation import IsolatedDecoder, OverdueError, WatchedDecoder, decoder
from transforms.prefetch import ordered_map
from transforms.rejects import RejectCode
from transforms.stored import Form, Stored


@pytest.fixture(autouse=True)
def deadly_images(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let child processes have a decoder that some images bring down."""
    for name, value in deadly.environment(tmp_path_factory.mktemp("site")).items():
        monkeypatch.setenv(name, value)


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def refused(decode: Callable[[], object]) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode()
    return caught.value


def test_pictures_are_those_of_the_ordinary_decoder() -> None:
    with closing(IsolatedDecoder(30)) as isolated:
        for form in (None, Form((20, 30))):
            there, here = (f(png(50, 40), form, Limits()) for f in (isolated.decode, images.decode))
            np.testing.assert_array_equal(there.pixels, here.pixels)
            assert (there.width, there.height) == (here.width, here.height) == (50, 40)
        like = Stored(16, 12, 50, "4:2:0")
        there, here = (
            f(png(50, 40), Form((20, 30), like), Limits()) for f in (isolated.decode, images.decode)
        )
        np.testing.assert_array_equal(there.pixels, here.pixels)
        again = isolated.decode(images.to_jpeg(here.pixels), None, Limits())
        assert again.stored == Stored(30, 20, 95, "4:4:4")


def test_refusals_are_those_of_the_ordinary_decoder() -> None:
    with closing(IsolatedDecoder(30)) as isolated:
        for data, limits in (
            (b"", Limits()),
            (b"no image", Limits()),
            (png(9, 9), Limits(max_pixels=80)),
            (png(99, 99)[:-40], Limits()),
        ):
            there, here = (
                refused(lambda f=f, d=data, li=limits: f(d, Form((8, 8)), li))
                for f in (isolated.decode, images.decode)
            )
            assert (there.code, there.message) == (here.code, here.message)


def test_an_image_that_crashes_its_decoder_is_refused_and_the_next_is_not() -> None:
    with closing(IsolatedDecoder(30)) as isolated:
        error = refused(lambda: isolated.decode(deadly.image("crash"), Form((8, 8)), Limits()))
        assert error.code is RejectCode.DECODER_CRASHED
        assert "SIGSEGV" in error.message
        assert isolated.decode(png(9, 9), Form((8, 8)), Limits()).width == 9


def test_an_image_that_takes_too_long_is_refused_even_where_python_gets_no_turn() -> None:
    began = time.monotonic()
    with closing(IsolatedDecoder(0.5)) as isolated:
        error = refused(lambda: isolated.decode(deadly.image("hang"), Form((8, 8)), Limits()))
    assert error.code is RejectCode.DECODER_TIMEOUT
    assert error.message == "not decoded after 0.5 seconds"
    assert error.seconds == 0.5
    assert time.monotonic() - began < 20


def test_an_image_that_takes_too_much_memory_is_refused() -> None:
    with closing(IsolatedDecoder(60, memory=2**30)) as isolated:
        error = refused(lambda: isolated.decode(deadly.image("memory"), Form((8, 8)), Limits()))
    assert error.code is RejectCode.DECODER_CRASHED


def test_the_largest_images_have_memory_enough() -> None:
    buffer = io.BytesIO()
    Image.new("LA", (11_000, 9_000)).save(buffer, "PNG", compress_level=1)
    with closing(IsolatedDecoder(60)) as isolated:
        assert isolated.decode(buffer.getvalue(), Form((8, 8)), Limits()).width == 11_000


def test_several_threads_may_decode_at_once() -> None:
    found: dict[int, int] = {}

    def work(width: int) -> None:
        found[width] = isolated.decode(png(width, 5), Form((8, 8)), Limits()).width

    with closing(IsolatedDecoder(30)) as isolated:
        threads = [threading.Thread(target=work, args=(width,)) for width in range(5, 13)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {width: width for width in range(5, 13)}


def test_a_child_that_dies_of_something_else_costs_nothing() -> None:
    before = set(children())
    with closing(IsolatedDecoder(30)) as isolated:
        isolated.decode(png(9, 9), Form((8, 8)), Limits())
        (child,) = set(children()) - before
        os.kill(child, 9)
        assert isolated.decode(png(7, 9), Form((8, 8)), Limits()).width == 7


def test_the_child_ends_with_its_user() -> None:
    before = set(children())
    with decoder(careful=True, seconds=30) as careful:
        careful.decode(png(9, 9), Form((8, 8)), Limits())
        assert set(children()) - before
    assert not set(children()) - before


def test_without_care_pictures_are_decoded_here_and_the_time_is_watched() -> None:
    before = set(children())
    with decoder(careful=False, seconds=0.2) as watched:
        assert isinstance(watched, WatchedDecoder)
        assert watched.decode(png(9, 9), Form((8, 8)), Limits()).width == 9
        assert set(children()) == before
        refused(lambda: watched.decode(b"no image", Form((8, 8)), Limits()))
        time.sleep(0.3)
        # What has ended is not overdue, in whatever way it did.
        watched.check()


def test_an_image_that_is_overdue_is_noticed_while_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = threading.Event()
    monkeypatch.setattr(images, "decode", lambda *_: never.wait())
    watched = WatchedDecoder(0.2)

    def take(number: int) -> int:
        if number == 2:
            watched.decode(b"", None, Limits())
        return number

    results = ordered_map(take, range(4), 2, 4, watched.check)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OverdueError, match=r"not decoded after 0\.2 seconds"):
        next(results)
    never.set()


def test_a_child_that_does_not_start_is_told_apart_from_a_bad_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.executable", "false")
    with (
        closing(IsolatedDecoder(30)) as isolated,
        pytest.raises(OSError, match="the process that decodes images does not start"),
    ):
        isolated.decode(png(9, 9), Form((8, 8)), Limits())


def children() -> Iterator[int]:
    """Return the processes that this one started and that live."""
    return map(
        int, Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    )
