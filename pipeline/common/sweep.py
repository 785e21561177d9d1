"""Removing what an output does not need any more."""

from collections.abc import Sequence

from pipeline.common import units
from pipeline.common.locks import Hold
from transforms import files


def sweep(hold: Hold, folders: Sequence[str], keep: set[str]) -> None:
    """Delete data files that the manifest does not name, and what killed runs left behind.

    Args:
        hold: of the job's output, whose manifest has been written.
        folders: the folders below it whose files are to be named.
        keep: the files to keep, relative to the output.

    Raises:
        JobError: another run has taken the output over.
    """
    output = hold.output
    places = tuple(f"{folder}/" for folder in folders)
    # What cannot even be listed is of somebody else.
    there = list(files.list_files(output, refused=lambda *_: None))
    # After the listing: what another run writes from now on is not in it.
    hold.check()
    for info in there:
        name = info.path[len(output.rstrip("/")) + 1 :]
        unnamed = name.startswith(places) and name not in keep
        # Markers that are left are of units that are no longer planned.
        marker = name.startswith(f"{units.JOURNAL}/") and name.endswith(units.STARTED)
        if unnamed or marker or name.rsplit("/", 1)[-1].startswith(files.TEMPORARY_PREFIX):
            files.delete(info.path)
