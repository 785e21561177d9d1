"""The books of a job: what went in is what came out, or the job fails."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from transforms.errors import JobError, UsageError
from transforms.rejects import Reject

OUTCOMES = ("done", "rejected", "duplicates", "committed")


@dataclasses.dataclass(frozen=True)
class Books:
    """Counts by outcome.

    Attributes:
        images: `listed` images, and how many of them were `done`, `rejected`, `duplicates`, or
            already `committed` by an earlier run.
        captions: likewise for captions; empty where a job reads none.
        missing: images that captions name and that are not listed.
    """

    images: dict[str, int]
    captions: dict[str, int]
    missing: int = 0

    def check(self) -> None:
        """Raise JobError, naming the difference, unless every listed thing has one outcome."""
        for name, counts in (("images", self.images), ("captions", self.captions)):
            accounted = sum(counts.get(outcome, 0) for outcome in OUTCOMES)
            if counts and accounted != counts["listed"]:
                parts = " + ".join(f"{counts[o]} {o}" for o in OUTCOMES if o in counts)
                raise JobError(
                    f"the books do not balance: {counts['listed']} {name} listed, but {parts}"
                    f" = {accounted}, a difference of {accounted - counts['listed']}"
                )

    def reject_fractions(self) -> dict[str, float]:
        """Return the shares of images rejected or missing, and of captions rejected, 0 to 1."""
        rejected = {"images": self.images["rejected"] + self.missing}
        listed = {"images": self.images["listed"] + self.missing}
        if self.captions:
            rejected["captions"] = self.captions["rejected"]
            listed["captions"] = self.captions["listed"]
        return {name: rejected[name] / max(1, listed[name]) for name in listed}

    def as_json(self) -> dict[str, Any]:
        """Return the books as a manifest records them."""
        return dataclasses.asdict(self)


def none_left(listed: int, rejects: Iterable[Reject], table: str) -> UsageError | JobError:
    """Return the failure of a job that rejects every image.

    JobError, if the store rather than an image is to blame for any: another run may get it.

    Args:
        listed: images found.
        rejects: of the run.
        table: where they are written.
    """
    rejects = list(rejects)
    codes = ", ".join(sorted({reject.code.value for reject in rejects}))
    message = (
        f"no image is left: all of the {listed} images were rejected ({codes});"
        f" {table} has a line on each"
    )
    # What a list of captions names and no folder has is no better the next time.
    if any(reject.code.retryable and reject.stage != "join" for reject in rejects):
        return JobError(f"{message}; the same command tries again")
    return UsageError(message)


def from_json(value: dict[str, Any]) -> Books:
    """Return the books that a manifest records."""
    return Books(**value)
