"""What shapes the speed of a job and not its result."""

import dataclasses
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


@dataclasses.dataclass(frozen=True)
class Performance:
    """What shapes the speed of a job and not its result.

    Attributes:
        readers: threads that read and decode.
        image_seconds: time an image may take to be decoded.
        workers: processes that share a machine, as far as the command line tells.
    """

    readers: int
    image_seconds: float
    workers: int = 1

    @property
    def threads(self) -> int:
        """Threads of a model's call: this worker's share of the cores, at least one."""
        return max(1, len(os.sched_getaffinity(0)) // self.workers)

    def searchers(self, method: str) -> int:
        """Return how many batches' captions are searched at once, each in a thread of its own.

        A search takes a third of its encoding, and a consensus longer than that.
        """
        return self.threads if method == "consensus" else max(1, self.threads // 2)


def workers(options: "PipelineOptions") -> int:
    """Return how many processes of this machine the runner starts to share the work.

    Only Beam's direct runner says so on the command line; others give each process a machine, or
    a container with cores of its own.
    """
    values = options.get_all_options()
    if values.get("direct_running_mode") != "multi_processing":
        return 1
    return int(values.get("direct_num_workers") or len(os.sched_getaffinity(0)))
