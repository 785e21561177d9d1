"""Image bytes to RGB pixels: the only place that decodes an image.

Every decision that needs no pixels (bytes, format, dimensions) is taken from the header before the
decoder runs. Pillow does the decoding and the resizing and releases the GIL in both, so `decode`
may run in several threads; it touches no global state.
"""

import dataclasses
import io
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from transforms import stored
from transforms.errors import UsageError
from transforms.rejects import RejectCode, unsupported
from transforms.stored import Form, Stored

# The formats that are read. Pillow's others stay out: some run programs (EPS).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000")

# Twice Pillow's own warning threshold is where Pillow refuses to open an image, whatever we allow.
PILLOW_MAX_PIXELS = 178_956_970

_SIXTEEN_TO_EIGHT = np.rint(np.arange(65536) / 257).astype(np.uint8)
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"

# JPEGs are decoded at the least of 1/8, 1/4, 1/2 of their size that is no smaller than the target,
# and the bicubic filter, which costs more than decoding, does the rest. The result stays within
# 1.6 grey levels (mean) of one decoded at full size, as much as storing it as a JPEG of quality 95
# would do.
_REDUCING_GAP = 3.0

# What people send that is recognisable and not read, so that the message can name it.
_UNSUPPORTED = (
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "Photoshop"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML or SVG"),
    (0, b"\x00\x00\x01\x00", "icon"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftyp", "MP4 or another ISO media file"),
)

# EXIF orientation (1 to 8) to the operation that undoes it; 1 needs none.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow warns of large images, which `Limits` guards against, and of malformed metadata, which is
# not used: in a run over many images that is noise. (`catch_warnings` is not safe in threads.)
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(Exception):
    """An image that cannot be used; the only exception that `decode` raises for any bytes.

    Where it took too long, `seconds` are those that it was given.
    """

    def __init__(self, code: RejectCode, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.seconds = seconds


@dataclasses.dataclass(frozen=True)
class Limits:
    """What `decode` accepts.

    Attributes:
        max_bytes: the largest encoded size.
        max_pixels: the largest width x height, at most `PILLOW_MAX_PIXELS`.
        truncated: `reject`, or `accept` to keep what could be decoded (the rest is grey or black);
            of a truncated WebP, AVIF or JPEG 2000 nothing can be.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 100_000_000
    truncated: str = "reject"

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise UsageError("image limits: max_bytes must be at least 1")
        if not 1 <= self.max_pixels <= PILLOW_MAX_PIXELS:
            raise UsageError(f"image limits: max_pixels must be 1 to {PILLOW_MAX_PIXELS}")
        if self.truncated not in ("reject", "accept"):
            raise UsageError(f"image limits: truncated={self.truncated!r}: use reject or accept")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, read-only.
        width: of the original in pixels, after its EXIF orientation.
        height: likewise.
        stored: how, if it was a JPEG.
    """

    pixels: np.ndarray
    width: int
    height: int
    stored: Stored | None = None


def decode(data: bytes, form: Form | None = None, limits: Limits = Limits()) -> Picture:
    """Decode image bytes to upright RGB.

    The first frame of an animation or a multi-page file is taken, transparency is laid on white,
    and samples deeper than 8 bits are rescaled to 8.

    Args:
        data: the encoded image.
        form: the whole picture is stretched to its size (bicubic, antialiased), and before that
            stored as it says (scaled bilinear, antialiased) unless it is a JPEG that is stored so
            already; see `transforms.stored`. None keeps the picture as it is.
        limits: what to accept.

    Raises:
        ImageError: the bytes are refused, with the code that says why.
    """
    if not data:
        raise ImageError(RejectCode.IMAGE_EMPTY, "the file has no bytes")
    if len(data) > limits.max_bytes:
        message = f"{len(data)} bytes, more than the limit of {limits.max_bytes}"
        raise ImageError(RejectCode.IMAGE_TOO_MANY_BYTES, message)
    try:
        with _open(data, limits) as image:
            return _decode(image, form, limits)
    except ImageError:
        raise
    except Exception as error:  # Pillow's plugins raise nearly every type on malformed input.
        raise _translate(error, data) from error


def to_jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    """Encode uint8 [height, width, 3] RGB as a JPEG with full-resolution colour."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _open(data: bytes, limits: Limits) -> ImageFile.ImageFile:
    """Read the header and check what it promises."""
    if limits.truncated == "accept" and data.startswith(_JPEG_START):
        # With an end to find, libjpeg fills what is missing; behind an end, it is not looked at.
        data += _JPEG_END
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(RejectCode.IMAGE_TOO_MANY_PIXELS, _one_line(error)) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    width, height = image.size
    if width * height > limits.max_pixels:
        message = f"{width}x{height} pixels, more than the limit of {limits.max_pixels}"
        raise ImageError(RejectCode.IMAGE_TOO_MANY_PIXELS, message)
    return image


def _decode(image: ImageFile.ImageFile, form: Form | None, limits: Limits) -> Picture:
    size, like = (form.size, form.like) if form else (None, None)
    width, height = image.size
    box, as_is = None, None
    # A JPEG's orientation is in its header, and is needed to draft; others may keep it at the end.
    drafts = image.format in ("JPEG", "MPO")
    orientation = _orientation(image) if drafts else 1
    if drafts:
        as_is = _stored(image, _turned(image.size, orientation))
        if like is not None and like.covers(as_is):
            like = None
    first = (like.height, like.width) if like else size
    if first is not None and drafts:
        drafted = image.draft(None, _target(first, orientation))
        box = drafted[1] if drafted else None
    _load(image, limits)
    if not drafts:
        width, height = image.size
        orientation = _orientation(image)
    picture = _to_eight_bits(image)
    if first is not None:
        # Compressed afterwards, a picture has no use for what the dearer filter keeps of it.
        smooth = Image.Resampling.BICUBIC if like is None else Image.Resampling.BILINEAR
        picture = picture.resize(_target(first, orientation), smooth, box, _REDUCING_GAP)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    picture = picture.convert("RGB")
    if size is not None and like is not None:
        picture = _compressed_like(picture, like)
        picture = picture.resize(_target(size, 1), Image.Resampling.BICUBIC)
    return Picture(np.asarray(picture), *_turned((width, height), orientation), as_is)


def _turned(extent: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return (width, height) after the orientation is undone; 5 to 8 lie on their side."""
    return (extent[1], extent[0]) if orientation > 4 else extent


def _stored(image: ImageFile.ImageFile, extent: tuple[int, int]) -> Stored:
    """Return how a JPEG was stored, by its header."""
    # A file without tables is broken, and refused when it is decoded.
    luminance = getattr(image, "quantization", {}).get(0, ())
    sampling = JpegImagePlugin.get_sampling(image)
    return Stored(*extent, stored.quality(luminance), stored.subsampling(sampling))


def _compressed_like(picture: Image.Image, like: Stored) -> Image.Image:
    """Store RGB as a JPEG, and decode that."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=like.quality, subsampling=like.subsampling)
    return Image.open(buffer, formats=["JPEG"]).convert("RGB")


def _target(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return (width, height) before the orientation is undone; 5 to 8 lie on their side."""
    height, width = size
    return (height, width) if orientation > 4 else (width, height)


def _load(image: ImageFile.ImageFile, limits: Limits) -> None:
    """Decode the pixels, or as many as there are where truncated images are accepted."""
    try:
        image.load()
    except OSError as error:
        # Pillow's own switch for this is global to the process. After a failed load the image
        # holds the rows decoded so far; without tiles left to do, Pillow takes it as loaded.
        if limits.truncated != "accept" or not _is_truncation(error):
            raise
        image.tile = []
        image.load()


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; unreadable EXIF counts as upright."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF is a TIFF file of its own, and as easily malformed.
        return 1
    return value if value in _UPRIGHT else 1


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Convert to L or RGB with 8 bits a sample, which is what resizing is meant for."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _rescale(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _rescale(image: Image.Image) -> Image.Image:
    """Map 16-bit samples 0..65535, floats 0..1, or else the image's own range, to 0..255."""
    samples = np.asarray(image)
    if samples.dtype.kind in "iu" and samples.min() >= 0 and samples.max() <= 65535:
        return Image.fromarray(_SIXTEEN_TO_EIGHT[samples])
    samples = np.nan_to_num(samples.astype(np.float32))
    low, high = float(samples.min()), float(samples.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    # Halved, so that the range of the largest floats does not overflow.
    scaled = (samples / 2 - low / 2) * (255 / max(high / 2 - low / 2, 1e-30))
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _unidentified(data: bytes) -> ImageError:
    """Say what bytes are that no decoder could open."""
    prefix = data[:16]
    for name in FORMATS:
        _factory, accept = Image.OPEN.get(name, (None, None))
        # Anything but True is a plugin's word for "this format, but not in this build".
        if accept is not None and accept(prefix) is True:
            return ImageError(RejectCode.IMAGE_CORRUPT, f"the {name} header cannot be read")
    for start, magic, name in _UNSUPPORTED:
        if prefix[start:].startswith(magic):
            return ImageError(RejectCode.IMAGE_FORMAT_UNSUPPORTED, unsupported(name))
    return ImageError(RejectCode.IMAGE_NOT_AN_IMAGE, "not an image in any format that is read")


def _translate(error: Exception, data: bytes) -> ImageError:
    if isinstance(error, MemoryError):
        return ImageError(RejectCode.DECODER_CRASHED, "there is not enough memory to decode it")
    message = _one_line(error)
    # A RIFF file says how long it is; the WebP decoder does not say that it missed the rest.
    short = data.startswith(b"RIFF") and len(data) < 8 + int.from_bytes(data[4:8], "little")
    if short or _is_truncation(error):
        return ImageError(RejectCode.IMAGE_TRUNCATED, message)
    return ImageError(RejectCode.IMAGE_CORRUPT, message)


def _is_truncation(error: Exception) -> bool:
    return "truncated" in str(error).lower()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
