"""The one path from models to what they cost, behind the Python API and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from numpy.typing import NDArray

from cvbench.cost.backends import BACKENDS, tally, tally_of
from cvbench.cost.counter import Count, count
from cvbench.cost.latency import Latency, Progress, measure_latencies
from cvbench.cost.machine import DTYPES, Machine
from cvbench.cost.roofline import predict
from cvbench.cost.spec import CountSpec, load_model, require_torch
from cvbench.cost.tables import comparison_tables, count_tables, tally_tables
from cvbench.cost.turns import Plan
from cvbench.cost.workload import Conditions, ModuleWorkload, Workload
from cvbench.errors import InputError, MissingDependency, did_you_mean
from cvbench.result import Input, Result, Row, Signature

TASK = "model.cost@1"

Size = CountSpec | str | Sequence[int] | Sequence[Sequence[int]]


def profile(
    model: Any,
    input_size: Size | None = None,
    *,
    inputs: Any = None,
    device: str = "meta",
    strict: bool = False,
    backward: bool = False,
    backend: str = "cvbench",
    compare: bool = False,
    roofline: bool | Machine | None = None,
    latency: bool | Plan = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """What a model costs: parameters, multiply-accumulates, FLOPs, bytes; on request predicted and measured time.

    Parameters
    ----------
    model
        A torch module; or ``"package.module:build"``, which names one or a function that makes one; or a mapping of
        names to several of these, which give one result with a table of models.
    input_size
        Shape of the input, ``(1, 3, 224, 224)`` or ``"1x3x224x224"``, of several inputs, or a `CountSpec`.
    inputs
        The inputs themselves, in place of a size: a tensor, a tuple of arguments or a mapping of named ones.
    device
        Where a copy of the model runs to be counted: ``meta``, or ``cpu`` for models that ask for values.
    strict
        Refuse operators that the counter has no formula for.
    backward
        Count the backward pass, too.
    backend
        Who counts: ``cvbench``, ``fvcore`` or ``torch``. The others know parameters and macs only.
    compare
        Count by all three, and list the operators that make the difference.
    roofline
        Predict the least time on this machine, from its rates: cached ones, measured in two seconds where there are
        none; or on a given machine. None for wherever there is `latency`.
    latency
        Measure the time of calls in fresh processes, by the default plan or a given one: minutes. Needs `input_size`,
        and takes random images of that size; a model with a method ``workload(conditions)`` gives its own
        `cvbench.cost.workload.Workload` with its stages. A script has to call this under
        ``if __name__ == "__main__":``.
    threads
        Threads of torch for `roofline` and `latency`; None for 1, or those of a given machine.
    progress
        Called with a stage, how much of it is done and how much there is.

    Returns
    -------
    Result
        Of the task ``model.cost@1``. Its tables are ``per_module``, ``per_operator``, ``per_depth`` and ``unknown``
        (operators without a formula, missing in macs and flops); where there are such, ``per_part``, ``roofline``,
        ``latency``, ``counters`` and ``differences``; of several models also ``models``. Raw times are its arrays.

    Raises
    ------
    InputError
        A name leads to no model, the forward fails (the message names module and shapes), an operator is unknown under
        `strict`, or options do not go together.
    MissingDependency
        Torch, or the other counter, is not installed.

    Undefined
    ---------
    ``ai`` is NaN for a model that moves no bytes, bounds of percentiles are for too few calls.

    Examples
    --------
    >>> import torch
    >>> result = profile(torch.nn.Conv2d(3, 16, 3, padding=1), (1, 3, 32, 32))
    >>> result.values["params"], result.values["macs"], result.values["flops"]
    (448.0, 442368.0, 901120.0)
    """
    require_torch()
    _check_options(backend, compare, backward, bool(roofline), bool(latency))
    if (input_size is None) == (inputs is None):
        raise InputError("expected either input_size or inputs")
    size = None if input_size is None else CountSpec.of(input_size)
    if isinstance(roofline, Machine) and threads is None:
        threads = roofline.threads
    several = isinstance(model, Mapping)
    # torch.jit, which fvcore stands on, needs weights
    models = _loaded(model if several else {_name(model): model}, "cpu" if compare or backend == "fvcore" else device)
    conditions = _conditions(models, size, threads) if latency else None
    machine = _machine(roofline, conditions, threads, size)
    costs = {}
    for name, (_, module) in models.items():
        if backend != "cvbench":
            costs[name] = _of_other(backend, module, size, inputs, device, strict)
            continue
        counted = count(module, size, inputs=inputs, device=device, strict=strict, backward=backward)
        costs[name] = _of_count(counted, size, inputs)
        if compare:
            costs[name].add_comparison(counted, module, size, inputs, device)
        if machine is not None:
            costs[name].add_roofline(counted, machine)
    if conditions is not None:
        builds = {name: Timed(source, _image(size)) for name, (source, _) in models.items()}
        plan = latency if isinstance(latency, Plan) else None
        for name, times in measure_latencies(builds, conditions=conditions, plan=plan, progress=progress).items():
            costs[name].add_latency(times)
    sources = {name: _described(*source) for name, source in models.items()}
    return _together(costs, sources) if several else next(iter(costs.values())).result(next(iter(sources.values())))


# Models and conditions -----------------------------------------------------------------------------------------------


def _check_options(backend: str, compare: bool, backward: bool, roofline: bool, latency: bool) -> None:
    if backend not in BACKENDS:
        raise InputError(f"backend {backend!r} is unknown{did_you_mean(backend, BACKENDS)}")
    if backward and (compare or backend != "cvbench"):
        raise InputError("other counters count the forward pass only; leave out backward")
    asked = [name for name, on in (("compare", compare), ("roofline", roofline), ("latency", latency)) if on]
    if asked and backend != "cvbench":
        raise InputError(f"{asked[0]} needs the counts of cvbench; leave out the backend {backend}")


def _name(model: Any) -> str:
    return model if isinstance(model, str) else type(model).__name__


def _loaded(models: Mapping[str, Any], device: str) -> dict[str, tuple[Any, Any]]:
    """By name what was given, and the module that it is or leads to."""
    if not models:
        raise InputError("there are no models; expected at least one")
    return {
        str(name): (given, load_model(given, device=device) if isinstance(given, str) else given)
        for name, given in models.items()
    }


def _described(given: Any, module: Any) -> Input:
    """What is known of a model, and the torch that ran it."""
    path = given if isinstance(given, str) else None
    return {"path": path, "type": type(module).__name__, "torch": metadata.version("torch")}


def _image(size: CountSpec | None) -> tuple[int, ...]:
    """The shape of one input without its batch."""
    return size.shapes[0][1:] if size else ()


def _conditions(models: Mapping[str, tuple[Any, Any]], size: CountSpec | None, threads: int | None) -> Conditions:
    """What calls are timed under, for models that can be sent to other processes."""
    if size is None:
        raise InputError("latency is measured on images of a size; expected input_size in place of inputs")
    own = all(hasattr(module, "workload") for _, module in models.values())
    if not own and (len(size.shapes) > 1 or size.dtypes[0] not in DTYPES or not _image(size)):
        message = (
            f"latency is measured on one batch of floating-point numbers, not on {size}; "
            "a model with other inputs makes its own by a method workload(conditions)"
        )
        raise InputError(message)
    for name, (given, module) in models.items():
        if not isinstance(given, str) and any(parameter.is_meta for parameter in module.parameters()):
            raise InputError("the weights are on meta and have no values; nothing can be timed", where=name)
    dtype = size.dtypes[0] if size.dtypes[0] in DTYPES else "float32"
    return Conditions(batch=size.shapes[0][0], threads=threads or 1, dtype=dtype)


def _machine(
    roofline: bool | Machine | None, conditions: Conditions | None, threads: int | None, size: CountSpec | None
) -> Machine | None:
    """Whose rates predict; None where nothing is predicted."""
    if isinstance(roofline, Machine):
        used = conditions.threads if conditions else threads
        if used is not None and used != roofline.threads:
            raise InputError(f"the machine was measured with {roofline.threads} threads; asked for are {used}")
        return roofline
    if roofline is False or (roofline is None and conditions is None):
        return None
    dtype = size.dtypes[0] if size and size.dtypes[0] in DTYPES else "float32"
    return Machine.load(threads or 1, dtype)


@dataclass(frozen=True)
class Timed:
    """Makes the workload of a model in a fresh process: its own, or its forward over random images.

    Attributes
    ----------
    model
        A module, or ``package.module:build``.
    shape
        Of one image.
    """

    model: Any
    shape: tuple[int, ...]

    def __call__(self, conditions: Conditions) -> Workload:
        """The workload under these conditions."""
        module: Any = load_model(self.model, device="cpu") if isinstance(self.model, str) else self.model
        if hasattr(module, "workload"):
            workload: Workload = module.workload(conditions)
            return workload
        return ModuleWorkload(module, self.shape)(conditions)


# Results -------------------------------------------------------------------------------------------------------------


@dataclass
class _Costs:
    """What becomes a result, one finding after the other."""

    conventions: dict[str, str]
    values: dict[str, float]
    tables: dict[str, list[Row]]
    counts: dict[str, int]
    notes: list[str] = field(default_factory=list)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add_comparison(self, counted: Count, module: Any, size: CountSpec | None, inputs: Any, device: str) -> None:
        """Other counters beside ours; one that cannot count the model is noted."""
        tallies = [tally_of(counted)]
        for counter in BACKENDS[1:]:
            try:
                tallies.append(tally(counter, module, size, inputs=inputs, device=device))
            except (InputError, MissingDependency) as error:
                self.notes.append(f"{counter} has no figures: {error}")
        self.tables |= comparison_tables(tallies)
        self.notes += [f"{each.counter} counts {each.convention}" for each in tallies]

    def add_roofline(self, counted: Count, machine: Machine) -> None:
        """The least time that the machine's rates allow."""
        predicted = predict(counted, machine)
        self.values["roofline_ms"] = predicted.milliseconds
        self.tables["roofline"] = predicted.rows("kind")
        self.conventions |= {"threads": str(machine.threads), "dtype": machine.dtype}
        threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
        self.notes.append(f"rates of {machine.cpu or 'a processor'}, {threads}, {machine.dtype}, of {machine.date}")

    def add_latency(self, times: Latency) -> None:
        """Measured times, and how much of the machine they use."""
        self.values |= times.values()
        if "forward" in times.samples and "roofline_ms" in self.values:
            self.values["efficiency"] = self.values["roofline_ms"] / times.milliseconds(50, "forward")
        self.tables["latency"] = times.rows()
        self.conventions |= dict(times.conditions.conventions())
        self.notes += times.notes()
        self.arrays |= times.arrays()

    def result(self, source: Input) -> Result:
        """The result of one model."""
        signature = Signature(TASK, tuple(self.conventions.items()))
        return Result(
            TASK, self.values, signature, self.tables, self.counts, self.notes, {"model": source}, arrays=self.arrays
        )


def _of_count(counted: Count, size: CountSpec | None, inputs: Any) -> _Costs:
    values: dict[str, float] = {
        "params": counted.params,
        "params_trainable": counted.params_trainable,
        "macs": counted.macs,
        "flops": counted.flops,
        "activations": counted.activations,
        "bytes_unfused": counted.bytes_unfused,
        "bytes_fused": counted.bytes_fused,
        "peak_activation_bytes": counted.peak_activation_bytes,
        "ai": counted.ai,
    }
    conventions = {"counter": f"cvbench@{counted.version}"} | _input_conventions(size, inputs)
    if counted.parts and size is not None:
        conventions |= {"proposals": str(size.proposals), "masks": str(size.masks)}
    conventions["counts"] = counted.convention
    costs = _Costs(conventions, values, count_tables(counted), {"operators": len(counted.calls)})
    costs.counts["unknown_operators"] = sum(counted.unknown.values())
    costs.notes += [f"{name} has no formula: macs and flops lack {_calls(n)}" for name, n in counted.unknown.items()]
    return costs


def _of_other(backend: str, module: Any, size: CountSpec | None, inputs: Any, device: str, strict: bool) -> _Costs:
    found = tally(backend, module, size, inputs=inputs, device=device)
    if strict and found.uncounted:
        listed = ", ".join(f"{name} ({_calls(n)})" for name, n in found.uncounted.items())
        raise InputError(f"{backend} has no rule for {listed}; leave out strict, or count with cvbench")
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    values: dict[str, float] = {
        "params": sum(n for n, _ in sizes),
        "params_trainable": sum(n for n, trainable in sizes if trainable),
        "macs": found.macs,
        "reported": found.reported,
    }
    conventions = {"counter": f"{backend}@{found.version}"} | _input_conventions(size, inputs)
    conventions |= {"device": found.device, "counts": found.convention}
    costs = _Costs(conventions, values, tally_tables(found), {"unknown_operators": sum(found.uncounted.values())})
    costs.notes += [f"{backend} has no rule for {name}: {_calls(n)}" for name, n in found.uncounted.items()]
    return costs


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def _input_conventions(size: CountSpec | None, inputs: Any) -> dict[str, str]:
    """The shapes of the inputs, as they are written."""
    if size is not None:
        return {"input": str(size)}
    import torch
    from torch.utils._pytree import tree_leaves

    tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
    shapes = ["x".join(map(str, tensor.shape)) or "()" for tensor in tensors]
    dtypes = [str(tensor.dtype).removeprefix("torch.") for tensor in tensors]
    marks = ["" if dtype == "float32" else f":{dtype}" for dtype in dtypes]
    return {"input": ",".join(map("".join, zip(shapes, marks, strict=True))) or "none"}


def _together(costs: Mapping[str, _Costs], sources: Mapping[str, Input]) -> Result:
    """One result of all models: a table of their figures, and their tables with the model's name before each row."""
    tables: dict[str, list[Row]] = {"models": [{"model": name, **each.values} for name, each in costs.items()]}
    conventions: dict[str, str] = {}
    counts: dict[str, int] = {"models": len(costs)}
    notes: dict[str, list[str]] = {}
    for name, each in costs.items():
        conventions |= each.conventions
        for table, rows in each.tables.items():
            tables.setdefault(table, []).extend(_of_model(name, row) for row in rows)
        for kind, number in each.counts.items():
            counts[kind] = counts.get(kind, 0) + number
        for note in each.notes:
            notes.setdefault(note, []).append(name)
    told = [note if len(names) == len(costs) else f"{', '.join(names)}: {note}" for note, names in notes.items()]
    arrays = {f"{name}/{array}": values for name, each in costs.items() for array, values in each.arrays.items()}
    signature = Signature(TASK, tuple(conventions.items()))
    return Result(TASK, {}, signature, tables, counts, told, dict(sources), arrays=arrays)


def _of_model(name: str, row: Row) -> Row:
    """The row with the model before it; what named the row stays a name, be it a number."""
    (first, cell), *rest = row.items()
    return {"model": name, first: str(cell), **dict(rest)}
