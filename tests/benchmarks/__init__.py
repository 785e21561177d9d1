"""Tests of the benchmarks: that they run and what they compute, not what they measure."""
