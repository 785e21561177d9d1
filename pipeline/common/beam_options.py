"""Beam's options, read once."""

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions


class Options(PipelineOptions):
    """Options that remember their views.

    Beam asks for a view some 600 times while it builds a job's graph, and makes each by parsing the
    command line anew: a third of a second for every job.
    """

    def view_as(self, cls: Any) -> Any:
        """Return the options as those of a class, the same object each time."""
        # Beam's own attributes only may be set the usual way.
        views: dict[Any, Any] = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]
