"""What shapes the speed of a job and not its result."""

import dataclasses
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from transforms.search import SearchOptions

ONE_A_CORE = 0
NARROW = 5  # Hypotheses of an image that half of the cores keep up with, at most.


@dataclasses.dataclass(frozen=True)
class Performance:
    """What shapes the speed of a job and, but for images that time out, not its result.

    Attributes:
        readers: threads that read and decode.
        image_seconds: time an image may take to be decoded.
        workers: processes that share a machine, as far as the command line tells; `ONE_A_CORE`
            where the runner starts as many as the machine has cores.
    """

    readers: int
    image_seconds: float
    workers: int = 1

    @property
    def threads(self) -> int:
        """Threads of a model's call: this worker's share of the cores, at least one."""
        cores = len(os.sched_getaffinity(0))
        return 1 if self.workers == ONE_A_CORE else max(1, cores // self.workers)

    def as_json(self) -> dict[str, float]:
        """Return the attributes and `threads`, for the report of a run."""
        return {**dataclasses.asdict(self), "threads": self.threads}

    @staticmethod
    def encoders(captioners: int) -> int:
        """Return how many batches are encoded at once.

        Two, so that an engine has the next batch at hand when it is done with one. Several
        captioners would each have a batch of their own on all cores.
        """
        return 2 if captioners == 1 else 1

    def searchers(self, search: "SearchOptions") -> int:
        """Return how many batches' captions are searched at once, each in a thread of its own.

        A narrow beam takes less CPU time than encoding, so that half of the cores keep up.
        """
        hypotheses = search.width * (1 + len(search.required))
        wide = search.method == "consensus" or hypotheses > NARROW
        return self.threads if wide else max(1, self.threads // 2)


def workers(options: "PipelineOptions") -> int:
    """Return how many processes share a machine's cores, by Beam's flags, or `ONE_A_CORE`.

    That is what the direct runner starts here, Dataflow on each of its workers, and Flink or Spark
    on each of theirs.
    """
    values = options.get_all_options()
    if values.get("direct_running_mode") == "multi_processing":
        return int(values.get("direct_num_workers") or len(os.sched_getaffinity(0)))
    if str(values.get("runner")).endswith("DataflowRunner"):
        one = "no_use_multiple_sdk_containers" in (values.get("experiments") or [])
        return 1 if one else ONE_A_CORE
    # 0 leaves it to the runner, which takes the number of cores.
    return int(values.get("sdk_worker_parallelism", 1)) or ONE_A_CORE
