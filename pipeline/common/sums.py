"""Numbers of whole collections, as side inputs.

As collections they would take three steps more each, to hold a 0 where nothing is counted.
"""

import apache_beam as beam


def counted() -> beam.PTransform:
    """Return what counts the elements of a collection."""
    return beam.CombineGlobally(beam.combiners.CountCombineFn()).as_singleton_view()


def summed() -> beam.PTransform:
    """Return what adds the numbers of a collection."""
    return beam.CombineGlobally(sum).as_singleton_view()
