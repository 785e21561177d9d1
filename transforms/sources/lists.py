"""Lists of URIs: a line each, or a column of a table."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from transforms import files
from transforms.errors import UsageError
from transforms.rejects import RejectCode
from transforms.sources import names, parquets
from transforms.sources.members import File
from transforms.sources.reference import SourceError
from transforms.sources.store import Store, parsing

if TYPE_CHECKING:
    import pyarrow as pa

URI_COLUMNS = ("uri", "url", "path", "file", "file_name", "filename", "image", "image_path")


def expand(path: str) -> Iterator[File]:
    """Yield the files that a list names, each once for every time it is named.

    Args:
        path: of the list. Paths in it that are relative begin at its folder.

    Raises:
        UsageError: it is no text, or a table without a column of URIs.
        OSError: it cannot be read.
    """
    folder = path.rsplit("/", 1)[0] if "/" in path else "."
    for uri in _uris(path):
        if uri := uri.strip():
            yield _file(uri, folder)


def is_list(path: str) -> bool:
    """Whether a Parquet file is a table of URIs and has no images itself."""
    try:
        with parsing(), Store(path) as store:
            schema = parquets.open_file(store).schema_arrow
    except SourceError:
        return False
    return parquets.image_column(schema) is None and _column(schema) is not None


def _uris(path: str) -> Iterator[str]:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in (".parquet", ".pq"):
        yield from _from_parquet(path)
        return
    with files.open_read(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        try:
            if suffix in (".csv", ".tsv"):
                yield from _from_table(path, text, "\t" if suffix == ".tsv" else ",")
            else:
                yield from (line for line in text if not line.startswith("#"))
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{path}: not a list of URIs in UTF-8: {error}") from error


def _from_table(path: str, text: io.TextIOWrapper, delimiter: str) -> Iterator[str]:
    rows = csv.DictReader(text, delimiter=delimiter)
    header = {name.strip().lower(): name for name in rows.fieldnames or () if name}
    column = next((header[name] for name in URI_COLUMNS if name in header), None)
    if column is None:
        raise UsageError(_no_column(path, list(rows.fieldnames or ())))
    for row in rows:
        yield row[column] or ""


def _from_parquet(path: str) -> Iterator[str]:
    with parsing(), Store(path) as store:
        file = parquets.open_file(store)
        column = _column(file.schema_arrow)
        if column is None:
            raise UsageError(_no_column(path, file.schema_arrow.names))
        for batch in file.iter_batches(columns=[column]):
            yield from (str(value) for value in batch.column(0).to_pylist() if value is not None)


def _column(schema: "pa.Schema") -> str | None:
    return next((name for name in schema.names if name.lower() in URI_COLUMNS), None)


def _no_column(path: str, held: list[str]) -> str:
    return f"{path}: none of its columns ({', '.join(held)}) is {', '.join(URI_COLUMNS)}"


def _file(uri: str, folder: str) -> File:
    if uri.lower().startswith("file://"):
        # All after the host: a file has neither query nor fragment, and names have `?` and `#`.
        uri = unquote("/" + uri[len("file://") :].partition("/")[2])
    if files.is_remote(uri):
        key = uri.split("://", 1)[1]
    else:
        key, uri = _local(uri, folder)
    if ".." in key.split("/"):
        # A key stays below the root whatever the path does.
        key = "/".join(part for part in key.split("/") if part not in ("..", ""))
    if message := names.not_fetched(uri):
        refusal = (RejectCode.IMAGE_NOT_FETCHED, message)
        return File(key, uri, -1, 0.0, names.REFUSED, named=True, refusal=refusal)
    kind = names.kind_of(uri)
    if kind is None or kind == names.LIST:
        kind = names.IMAGE
    return File(key.lstrip("/"), uri, -1, 0.0, kind, named=True)


def _local(path: str, folder: str) -> tuple[str, str]:
    """Return the key of a path without a store, and its one spelling, in which it is read."""
    if files.is_remote(folder) and not path.startswith("/"):
        return _stored(path.removeprefix("./"), folder)
    whole = path if path.startswith("/") else files.join(folder, path)
    plain = os.path.normpath(whole)
    if ".." in whole.split("/") and not _same(whole, plain):
        return path, whole
    root = os.path.normpath(folder) + "/"
    if plain.startswith(root):
        # Sources beside the list may spell its folder so as well.
        plain = files.join(folder, plain.removeprefix(root))
    return os.path.normpath(path), plain


def _stored(path: str, folder: str) -> tuple[str, str]:
    """Do the same for a path in a list that lies in a store."""
    if ".." not in path.split("/"):
        # As it is: objects may be called `a//b.jpg`.
        return path, files.join(folder, path)
    store, _, below = folder.partition("://")
    return os.path.normpath(path), f"{store}://{os.path.normpath(files.join(below, path))}"


def _same(path: str, plain: str) -> bool:
    """Whether a path leads to the same place without `..`, which behind a link it does not."""
    try:
        return os.path.realpath(path) == os.path.realpath(plain)
    except ValueError:  # A name that no file can have.
        return False
