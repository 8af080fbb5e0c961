"""What two other counters say of a model, fvcore's and torch's own, and which operators make the difference.

Each of them leaves something out in silence or counts it by another rule, and figures in papers come from all of them.

Conventions
-----------
*macs* are the multiply-accumulates of convolutions, matrix products and attention that a counter knows of, *reported*
is the figure as it prints it. They run on a copy of the model in evaluation mode and without gradients, as their users
run them.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cvbench.cost.counter import Count
from cvbench.cost.operators import find_operator
from cvbench.cost.spec import CountSpec, arguments, require_torch
from cvbench.errors import CvbenchError, InputError, MissingDependency, did_you_mean
from cvbench.result import Row

if TYPE_CHECKING:
    import torch

Macs = dict[str, dict[str, int]]
"""Multiply-accumulates by path of the module, then by operator."""

FVCORE_PRODUCTS = ("conv", "linear", "addmm", "matmul", "mm", "bmm", "einsum")
"""What fvcore calls the operators whose multiply-accumulates it counts."""

FVCORE_CONVENTION = (
    "macs: conv, linear, matmul, mm, addmm, bmm and einsum in the graph of torch.jit; "
    "reported: with norms, interpolation, average pooling and grid sampling"
)
TORCH_CONVENTION = "macs: half of what FlopCounterMode reports; reported: 2 FLOPs per multiply-accumulate"


@dataclass(frozen=True, slots=True)
class Tally:
    """What one counter says of a model.

    Attributes
    ----------
    counter
        ``cvbench``, ``fvcore`` or ``torch``.
    version
        Of the counter, or of the package that has it.
    macs
        Multiply-accumulates of convolutions, matrix products and attention.
    reported
        The counter's own figure, by its own convention.
    own
        `macs` by the module whose forward calls the operator, and by the counter's name of the operator.
    uncounted
        Operators that it met and has no rule for, by the number of their calls. Of torch only those that do
        multiply-accumulates, since it has rules for no others.
    convention
        One line that says what the two figures count.
    device
        That the model ran on.
    """

    counter: str
    version: str
    macs: int
    reported: int
    own: Macs = field(repr=False)
    uncounted: dict[str, int]
    convention: str
    device: str = "meta"


def tally_of(count: Count) -> Tally:
    """The same of a count of ours; what is reported are the FLOPs."""
    own: Macs = {}
    for call in count.calls:
        if call.macs:
            operators = own.setdefault(call.module, {})
            operators[call.op] = operators.get(call.op, 0) + call.macs
    return Tally("cvbench", str(count.version), count.macs, count.flops, own, count.unknown, count.convention)


def tally(
    counter: str,
    model: torch.nn.Module,
    input_size: CountSpec | str | Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    inputs: Any = None,
    device: str = "meta",
) -> Tally:
    """Let another counter count a model.

    Parameters
    ----------
    counter
        ``fvcore`` or ``torch``.
    model, input_size, inputs, device
        As in `cvbench.cost.counter.count`. What torch's counter knows differs by device; fvcore runs on ``cpu`` in
        place of ``meta``, where torch.jit cannot trace convolutions, so the model needs its weights.

    Raises
    ------
    InputError
        There is no such counter, or it cannot run the model: fvcore takes tensors by position only, and models that
        torch.jit can trace.
    MissingDependency
        Torch or fvcore is not installed.

    Examples
    --------
    >>> import torch
    >>> tally("torch", torch.nn.Conv2d(3, 16, 3, padding=1), (1, 3, 32, 32)).macs
    442368
    """
    if counter not in _COUNTERS:
        raise InputError(f"{counter!r} is no other counter{did_you_mean(counter, _COUNTERS)}")
    require_torch()
    import torch

    from cvbench.cost.dispatch import placed, twin_of

    if (input_size is None) == (inputs is None):
        raise InputError("expected either input_size or inputs")
    where = torch.device("cpu" if counter == "fvcore" and device == "meta" else device)
    given = inputs if input_size is None else CountSpec.of(input_size).build(str(where))
    args, kwargs = torch.utils._pytree.tree_map_only(  # noqa: SLF001  # torch has no public name for it
        torch.Tensor, lambda tensor: placed(tensor, where), arguments(given)
    )
    twin = twin_of(model, where).eval()
    try:
        with torch.random.fork_rng([where] if where.type == "cuda" else []), torch.no_grad():
            return replace(_COUNTERS[counter](twin, args, kwargs), device=str(where))
    except CvbenchError:
        raise
    except Exception as error:
        message = f"{counter} cannot count it: {type(error).__name__}: {error}"
        raise InputError(message, where=type(model).__name__) from error


def _by_fvcore(model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tally:
    if kwargs:
        raise InputError(f"fvcore takes inputs by position, not by name ({', '.join(kwargs)})")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it rides on what torch calls deprecated; what it leaves out is in the tally
        try:
            from fvcore.nn import FlopCountAnalysis
        except ImportError as error:
            raise MissingDependency("fvcore is not installed; pip install 'cvbench[models]'") from error
        analysis = FlopCountAnalysis(model, args).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        total = {path: Counter(counts) for path, counts in analysis.by_module_and_operator().items()}
    own = {path: Counter(counts) for path, counts in total.items()}
    for path, counts in total.items():
        if path:
            own[path.rpartition(".")[0]].subtract(counts)  # it counts for a module what those below it do
    products = {path: {name: int(counts[name]) for name in FVCORE_PRODUCTS} for path, counts in own.items()}
    return Tally(
        counter="fvcore",
        version=metadata.version("fvcore"),
        macs=int(sum(total[""][name] for name in FVCORE_PRODUCTS)),
        reported=int(sum(total[""].values())),
        own=_without_zeros(products),
        uncounted=dict(analysis.unsupported_ops()),
        convention=FVCORE_CONVENTION,
    )


def _by_torch(model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tally:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    uncounted: Counter[str] = Counter()

    class Beneath(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type its subclass hook
        """Sees what the counter runs, and notes products that it has no formula for."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = str(func.overloadpacket)
            operator = find_operator(name)
            products = operator is not None and operator.kind in ("conv", "matmul", "attention")
            if products and func.overloadpacket not in counter.flop_registry:
                uncounted[name] += 1
            return func(*args, **(kwargs or {}))

    def flops() -> Counter[str]:
        return Counter({str(name): count for name, count in counter.get_flop_counts().get("Global", {}).items()})

    with Beneath(), counter, _attributed(model, flops) as own:  # type: ignore[no-untyped-call]  # torch's is untyped
        model(*args, **kwargs)
    halved = {path: {name: count // 2 for name, count in counts.items()} for path, counts in own.items()}
    return Tally(
        counter="torch",
        version=str(torch.__version__),
        macs=counter.get_total_flops() // 2,
        reported=counter.get_total_flops(),
        own=_without_zeros(halved),
        uncounted=dict(uncounted),
        convention=TORCH_CONVENTION,
    )


@contextmanager
def _attributed(model: torch.nn.Module, counts: Callable[[], Counter[str]]) -> Iterator[Macs]:
    """What `counts` grows by while each module runs, those that it calls apart; complete after the block."""
    from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

    paths = {module: path for path, module in model.named_modules()}
    running, seen, own = [""], Counter[str](), dict[str, dict[str, int]]()

    def settle() -> None:
        now = counts()
        for name, grown in (now - seen).items():
            operators = own.setdefault(running[-1], {})
            operators[name] = operators.get(name, 0) + grown
        seen.update(now - seen)

    def enter(module: torch.nn.Module, _args: Any) -> None:
        settle()
        running.append(paths.get(module, running[-1]))

    def leave(_module: torch.nn.Module, _args: Any, _result: Any) -> None:
        settle()
        running.pop()

    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        yield own
    finally:
        for hook in hooks:
            hook.remove()


def _without_zeros(own: Mapping[str, Mapping[str, int]]) -> Macs:
    kept = {path: {name: count for name, count in counts.items() if count} for path, counts in own.items()}
    return {path: counts for path, counts in kept.items() if counts}


_COUNTERS = {"fvcore": _by_fvcore, "torch": _by_torch}

BACKENDS = ("cvbench", *_COUNTERS)


# What makes the difference -------------------------------------------------------------------------------------------


def differences(tallies: Sequence[Tally]) -> list[Row]:
    """The operators whose multiply-accumulates the counters do not agree on, the largest difference first.

    Operators are compared by module, since their names differ. What all counters have the same number for is left out,
    so that the rows add up to the differences of the totals.

    Cells: ``operators`` as the first counter calls them (as the others do, where it has none), ``modules`` that call
    them, the ``first`` of these, and the multiply-accumulates by each counter.
    """
    reference, *others = tallies
    rows: dict[str, Row] = {}
    for path in dict.fromkeys(path for each in tallies for path in each.own):
        ours, theirs = reference.own.get(path, {}), [each.own.get(path, {}) for each in others]
        disputed = {name: macs for name, macs in ours.items() if not all(macs in known.values() for known in theirs)}
        agreed = sum(ours.values()) - sum(disputed.values())
        macs = [sum(known.values()) - agreed for known in (ours, *theirs)]
        if len(set(macs)) == 1:
            continue
        names = disputed or {name: 0 for known in theirs for name in known if known[name] not in ours.values()}
        key = ", ".join(sorted(names)) or ", ".join(sorted(ours))
        row = rows.setdefault(key, {"operators": key, "modules": 0, "first": path or "(model)"})
        for name, value in zip(("modules", *(each.counter for each in tallies)), (1, *macs), strict=True):
            row[name] = int(row.get(name, 0)) + value
    names_of = [each.counter for each in tallies]
    return sorted(rows.values(), key=lambda row: -_spread([int(row[name]) for name in names_of]))


def _spread(values: Sequence[int]) -> int:
    return max(values) - min(values)
