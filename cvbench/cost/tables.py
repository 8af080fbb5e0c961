"""What a count, a prediction and measured times say, as tables, and what their figures mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan

from cvbench.cost.backends import BACKENDS, Tally, differences
from cvbench.cost.counter import Count, Totals
from cvbench.cost.operators import OpCall
from cvbench.result import Cell, Row

MODEL = "(model)"
"""What tables call the model itself, whose path is empty."""

FIGURES = {
    "params": "parameters, shared ones once",
    "params_trainable": "parameters that ask for gradients",
    "macs": "multiply-accumulates of convolution, matrix product and attention",
    "reported": "what the counter itself prints",
    "flops": "2 macs and the documented cost of everything else",
    "activations": "elements put out by convolution, matrix product and attention",
    "bytes_unfused": "bytes read and written, every operator alone",
    "bytes_fused": "the same with point-wise operators and norms in registers: a lower bound",
    "peak_activation_bytes": "most bytes alive at once, weights and inputs apart",
    "ai": "arithmetic intensity: flops per byte unfused",
    "roofline_ms": "least time on this machine, ms",
    "efficiency": "least time over the measured median of forward",
    "cold_build_s": "fresh process: import and build, s",
    "cold_first_call_s": "fresh process: first call, s",
    "peak_rss_bytes": "fresh process: most memory",
    "peak_rss_delta_bytes": "fresh process: most memory, less what it began with",
}
"""What a figure of a model's cost means."""

TIMES = {
    "p50_ms": "median of a call, ms",
    "p90_ms": "90th percentile, ms",
    "p99_ms": "99th percentile, ms",
    "p50_bound_ms": "at most so large is the true median, at 99 % confidence, ms",
    "p90_bound_ms": "the same of the 90th percentile, ms",
    "p99_bound_ms": "the same of the 99th percentile, ms",
    "images_per_s": "images per second at the median",
    "spread": "interquartile range over median",
    "process_spread": "slowest process over the fastest, less 1",
}
"""What a figure of a stage's times means; before it stands the stage."""

QUANTITIES = frozenset(
    {name for name in FIGURES if name.startswith(("params", "macs", "flops", "activations", "bytes", "peak"))}
    | {"reported", "own_macs", "own_flops", *BACKENDS}
)
"""Figures and columns of large numbers."""


def meaning(figure: str) -> str:
    """What the figure of that name means.

    >>> meaning("forward_p90_ms")
    'forward: 90th percentile, ms'
    """
    if figure in FIGURES:
        return FIGURES[figure]
    stage, _, time = figure.partition("_")
    return f"{stage}: {TIMES[time]}"


def _cells(totals: Totals) -> Row:
    return {
        "macs": totals.macs,
        "flops": totals.flops,
        "activations": totals.activations,
        "bytes_unfused": totals.bytes_unfused,
        "bytes_fused": totals.bytes_fused,
    }
