"""Hold predicted times against measured ones, on published networks and the machine that this runs on.

    python scripts/validate_roofline.py [FOLDER] [--networks NAME ...] [--quick]

counts every network of ``tests/cost/networks.py`` on one image of 224 × 224, predicts its time by
`cvbench.cost.roofline`, measures it by `cvbench.cost.latency`, on one thread and on all processors, and writes
``roofline.json``, the page ``roofline.md`` that is made from it, and ``figures/roofline.png`` into ``docs`` or another
folder. The machine should have nothing else to do, for about half an hour; ``--quick`` measures for some minutes, for a
try. Needs torch and matplotlib (``pip install 'cvbench[models,plots]'``).
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np

from cvbench.cost.counter import count
from cvbench.cost.latency import Latency, measure_latencies
from cvbench.cost.machine import Machine
from cvbench.cost.roofline import predict
from cvbench.cost.turns import Plan, processors
from cvbench.cost.workload import Conditions, ModuleWorkload, Workload
from cvbench.result import replace_file

ROOT = Path(__file__).parents[1]
SHAPE = (3, 224, 224)

FULL = Plan(processes=3, rounds=3, samples=30)
QUICK = Plan(processes=1, rounds=2, samples=5)


@dataclass(frozen=True)
class Point:
    """One network, predicted and measured.

    Attributes
    ----------
    network
    gmacs
        For one image.
    predicted_ms
    measured_ms
        Median of the forward pass.
    shares
        Of the predicted time, as in `cvbench.cost.roofline.Prediction.shares`.
    noise
        As in `cvbench.cost.latency.Latency`.
    """

    network: str
    gmacs: float
    predicted_ms: float
    measured_ms: float
    shares: dict[str, float]
    noise: tuple[str, ...]

    @property
    def efficiency(self) -> float:
        """The predicted time divided by the measured one."""
        return self.predicted_ms / self.measured_ms

    @property
    def distance(self) -> float:
        """How many times the smaller of the two the larger is."""
        return max(self.efficiency, 1 / self.efficiency)


@dataclass(frozen=True)
class Run:
    """All networks on one number of threads.

    Attributes
    ----------
    before, after
        The machine, measured on both sides.
    calls
        Timed of each network.
    points
    """

    before: Machine
    after: Machine
    calls: int
    points: tuple[Point, ...]

    @property
    def title(self) -> str:
        """What the threads are called in tables and figures."""
        return "1 thread" if self.before.threads == 1 else f"{self.before.threads} threads"

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of predicted and measured times."""
        return rank_correlation([p.predicted_ms for p in self.points], [p.measured_ms for p in self.points])

    @property
    def worst(self) -> Point:
        """Where prediction and measurement lie farthest apart."""
        return max(self.points, key=lambda point: point.distance)


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's coefficient: 1 where both have the same order; equal values share the mean of their ranks."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Sequence[float]) -> Any:
    _, which, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes - 1) / 2)[which]


# Measuring -----------------------------------------------------------------------------------------------------------


def networks() -> Mapping[str, Any]:
    """The networks of the tests, by name; each has a function ``build``."""
    for folder in (str(ROOT), str(ROOT / "tests")):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    found: Mapping[str, Any] = importlib.import_module("cost.networks").NETWORKS
    return found


@dataclass(frozen=True)
class Published:
    """Makes the workload of a network by its name, wherever it is called: a builder itself may not be sendable."""

    name: str

    def __call__(self, conditions: Conditions) -> Workload:
        """The workload of one image under these conditions."""
        return ModuleWorkload(networks()[self.name].build, SHAPE)(conditions)


def run(names: Sequence[str], threads: int, plan: Plan) -> Run:
    """Predict and measure the networks on so many threads."""
    before = Machine.measure(threads)
    builds = {name: Published(name) for name in names}
    latencies = measure_latencies(builds, conditions=Conditions(threads=threads), plan=plan, progress=_say)
    after = Machine.measure(threads)
    machine = best_of(before, after)
    points = tuple(_point(name, latency, machine) for name, latency in latencies.items())
    return Run(before, after, min(len(latency.process) for latency in latencies.values()), points)


def best_of(a: Machine, b: Machine) -> Machine:
    """The best of two measurements of one machine, rate by rate: what disturbs one can only lower it."""
    pairs = zip(a.bandwidths, b.bandwidths, strict=True)
    return replace(
        a,
        matmul_rate=max(a.matmul_rate, b.matmul_rate),
        convolution_rate=max(a.convolution_rate, b.convolution_rate),
        bandwidths=tuple((size, max(rate, other)) for (size, rate), (_, other) in pairs),
        dispatch_seconds=min(a.dispatch_seconds, b.dispatch_seconds),
    )


def _say(_: str, done: int, total: int) -> None:
    print(f"{done} of {total} processes have ended", file=sys.stderr)


def _point(name: str, latency: Latency, machine: Machine) -> Point:
    counted = count(networks()[name].build(), (1, *SHAPE), strict=True)
    predicted = predict(counted, machine)
    shares = {str(limit): share for limit, share in predicted.shares().items()}
    measured = latency.milliseconds(50, "forward")
    return Point(name, counted.macs / 1e9, predicted.milliseconds, measured, shares, latency.noise)


# Showing -------------------------------------------------------------------------------------------------------------


def page(runs: Sequence[Run]) -> str:
    """The page in Markdown."""
    return "\n".join([HEAD.format(cpu=runs[0].before.cpu, torch=runs[0].before.torch), *map(_section, runs)])


HEAD = """\
# Predicted and measured times

`cvbench.cost.roofline` predicts the least time of a model: each operator takes as long as its FLOPs at the machine's
best rate or its bytes at the machine's bandwidth, whichever is longer, and the time to dispatch it. The rates are
measured once, on shapes that suit the machine; nothing is fitted to models. *Efficiency* is the predicted time divided
by the measured one: how well the operators of a network use the machine.

Below are all networks of `tests/cost/networks.py`, in float32 with a batch of one image of 224 × 224, on
{cpu} with torch {torch}. Measured is the median of the forward pass by the protocol of `cvbench.cost.latency`: fresh
processes, networks in turns of random order. `python scripts/validate_roofline.py` measures again and writes this page.

![Predicted against measured time of each network](figures/roofline.png)
"""


def _section(run: Run) -> str:
    efficiencies = [point.efficiency for point in run.points]
    facts = {
        "Networks": f"{len(run.points)}, each called at least {run.calls} times; {_noise(run.points)}",
        "Rank correlation (Spearman) of predicted and measured times": f"{run.rank_correlation:.3f}",
        "Efficiency": f"median {median(efficiencies):.2f}, from {min(efficiencies):.2f} to {max(efficiencies):.2f}",
        "Worst ratio": f"{run.worst.network}, {run.worst.distance:.2f} times {_side(run.worst)}",
    }
    lines = [f"## On {run.title}", "", *(f"- {name}: {fact}." for name, fact in facts.items())]
    return "\n".join([*lines, "", *_table(run), "", *_rates(run)]) + "\n"


def _side(point: Point) -> str:
    return "as long as predicted" if point.efficiency < 1 else "as fast as predicted"


def _noise(points: Sequence[Point]) -> str:
    noisy = [point for point in points if point.noise]
    if not noisy:
        return "none is marked noisy"
    return f"marked noisy: {len(noisy)} ({noisy[0].network}: {'; '.join(noisy[0].noise)})"


def _table(run: Run) -> list[str]:
    header = "| network | GMACs | predicted ms | measured ms | efficiency | compute | memory | dispatch | noisy |"
    lines = [header, "|---|--:|--:|--:|--:|--:|--:|--:|---|"]
    for point in sorted(run.points, key=lambda point: point.measured_ms):
        shares = " | ".join(f"{point.shares[limit]:.0%}" for limit in ("compute", "memory", "dispatch"))
        times = f"{point.predicted_ms:.2f} | {point.measured_ms:.2f} | {point.efficiency:.2f}"
        lines.append(f"| {point.network} | {point.gmacs:.3f} | {times} | {shares} | {'yes' if point.noise else ''} |")
    return [*lines, "", "Compute, memory and dispatch are shares of the predicted time."]


def _rates(run: Run) -> list[str]:
    sizes = [f"bandwidth at {size / 2**20:g} MiB, GB/s" for size, _ in run.before.bandwidths]
    names = ["date", "product, GFLOP/s", "convolution, GFLOP/s", *sizes, "dispatch, µs"]
    lines = [f"| machine | {' | '.join(names)} |", f"|---|---|{'--:|' * (len(names) - 1)}"]
    for when, machine in (("before", run.before), ("after", run.after)):
        rates = [machine.matmul_rate, machine.convolution_rate, *(rate for _, rate in machine.bandwidths)]
        cells = [machine.date, *(f"{rate / 1e9:.1f}" for rate in rates), f"{machine.dispatch_seconds * 1e6:.2f}"]
        lines.append(f"| {when} | {' | '.join(cells)} |")
    return [*lines, "", "Times are predicted from the better of the two, rate by rate."]


def figure(runs: Sequence[Run]) -> bytes:
    """The plot as PNG: predicted against measured times, on scales of powers."""
    import matplotlib as mpl  # here, for fresh processes import this script, too
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        drawn = Figure(figsize=(4.2 * len(runs), 4), dpi=150, layout="constrained")
        for axes, one in zip(drawn.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
            _plot(axes, one)
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


LINE = 9
"""Points from one name to the next."""

HEIGHT = 215
"""Points from the lower to the upper end of the axes."""


def _plot(axes: Any, run: Run) -> None:
    times = [time for point in run.points for time in (point.predicted_ms, point.measured_ms)]
    ends = min(times) / 3, max(times) * 3
    axes.plot(ends, ends, color="#777777", linewidth=0.8, label="predicted = measured")
    heights = {
        point.network: float(np.log(point.measured_ms / ends[0]) / np.log(ends[1] / ends[0])) * HEIGHT
        for point in run.points
    }
    reached = {1: -np.inf, -1: -np.inf}  # where the last name ends, on either side of the points
    for point in sorted(run.points, key=lambda point: point.measured_ms):
        axes.plot(point.predicted_ms, point.measured_ms, "o", color="#0b62a4", markersize=4)
        height = heights[point.network]
        # beside others of its height, the name of the rightmost point stands on the right
        near = [other for other in run.points if abs(heights[other.network] - height) < LINE]
        side = 1 if len(near) > 1 and point.predicted_ms == max(other.predicted_ms for other in near) else -1
        reached[side] = max(height, reached[side]) + LINE
        place = {"xytext": (6 * side, reached[side] - LINE - height - 2), "ha": "left" if side > 0 else "right"}
        where = point.predicted_ms, point.measured_ms
        axes.annotate(point.network, where, fontsize=7, textcoords="offset points", **place)
    axes.legend(frameon=False, loc="lower right")
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="predicted, ms", ylabel="measured, ms")
    axes.set(title=f"{run.title}: rank correlation {run.rank_correlation:.3f}")


def main() -> None:
    """Measure, and write what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs")
    parser.add_argument("--networks", nargs="+", metavar="NAME", choices=list(networks()), default=list(networks()))
    parser.add_argument("--quick", action="store_true", help="measure little, for a try")
    parser.add_argument("--redraw", action="store_true", help="make page and figure again from the data in FOLDER")
    args = parser.parse_args()
    if args.redraw:
        write(args.folder, msgspec.json.decode((args.folder / "roofline.json").read_bytes(), type=list[Run]))
        return
    plan = QUICK if args.quick else FULL
    runs: list[Run] = []
    for threads in sorted({1, processors()}):
        runs.append(run(args.networks, threads, plan))
        write(args.folder, runs)  # after each, so that what was measured is not lost with what fails


def write(folder: Path, runs: Sequence[Run]) -> None:
    """Write the data, the page and the figure into `folder`."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    replace_file(folder / "roofline.json", msgspec.json.format(msgspec.json.encode(runs), indent=2) + b"\n")
    replace_file(folder / "roofline.md", page(runs).encode())
    replace_file(folder / "figures" / "roofline.png", figure(runs))


if __name__ == "__main__":
    main()
