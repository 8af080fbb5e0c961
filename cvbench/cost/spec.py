"""What a model is counted on: shapes of its inputs, and the sizes that depend on data in real use.

Conventions
-----------
Shapes are written ``1x3x640x640``: batch, channels, height, width. Several inputs are separated by commas, and an
element type other than float32 follows a colon: ``1x3x224x224,1x77:int64``. A model is named by its builder,
``package.module:build``.
"""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from cvbench.errors import InputError, MissingDependency, did_you_mean

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool")

SEED = 0
"""Of the random numbers in inputs that are built."""


@dataclass(frozen=True)
class CountSpec:
    """The shapes that a model is counted on, with those that follow from the image pinned.

    A model whose cost depends on data has a method ``count_parts(spec, *inputs)``. It is a generator that yields the
    name of a part and then runs it, on tensors of the sizes in `spec`:

    >>> def count_parts(self, spec, image):
    ...     yield "backbone"
    ...     features = self.backbone(image)
    ...     yield "box head"
    ...     self.box_head(features.new_empty(spec.proposals, 256, 7, 7))

    Attributes
    ----------
    input
        Shape of the input, ``(1, 3, 640, 640)``, or of each of several inputs.
    proposals
        Boxes that the first stage of a two-stage model hands on.
    masks
        Objects for which masks or keypoints are drawn.
    dtypes
        Element type of each input, or one for all.

    Raises
    ------
    InputError
        A size is no whole number above 0, or a type is unknown or missing.

    Examples
    --------
    >>> CountSpec((1, 3, 800, 1333), proposals=300).shapes
    ((1, 3, 800, 1333),)
    >>> str(CountSpec.parse("1x3x8x8,1x77:int64"))
    '1x3x8x8,1x77:int64'
    """

    input: tuple[int, ...] | tuple[tuple[int, ...], ...]
    proposals: int = 1000
    masks: int = 100
    dtypes: tuple[str, ...] = ("float32",)

    def __post_init__(self) -> None:
        kinds = {isinstance(item, tuple) for item in self.input}
        if len(kinds) > 1:
            raise InputError(f"mixes sizes and shapes: {self.input}", where="input")
        for shape in self.shapes:
            if not shape or not all(type(size) is int and size > 0 for size in shape):
                raise InputError(
                    f"{shape} is no shape; expected sizes above 0, such as (1, 3, 640, 640)", where="input"
                )
        for name in ("proposals", "masks"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise InputError(f"{value!r} {name}; expected a whole number, 0 or more", where=name)
        for dtype in self.dtypes:
            if dtype not in DTYPES:
                raise InputError(f"{dtype!r} is no element type{did_you_mean(dtype, DTYPES)}", where="dtypes")
        if len(self.dtypes) not in (1, len(self.shapes)):
            raise InputError(f"{len(self.dtypes)} types for {len(self.shapes)} inputs", where="dtypes")

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of every input."""
        several = [shape for shape in self.input if isinstance(shape, tuple)]
        one = tuple(size for size in self.input if not isinstance(size, tuple))
        return (one,) if one or not several else tuple(several)

    def __str__(self) -> str:
        dtypes = self.dtypes * (len(self.shapes) if len(self.dtypes) == 1 else 1)
        shapes = ("x".join(map(str, shape)) for shape in self.shapes)
        marks = ("" if dtype == "float32" else f":{dtype}" for dtype in dtypes)
        return ",".join(f"{shape}{mark}" for shape, mark in zip(shapes, marks, strict=True))

    @classmethod
    def of(cls, size: CountSpec | str | Sequence[int] | Sequence[Sequence[int]]) -> CountSpec:
        """The spec that a spec, a text or one or several shapes stand for."""
        if isinstance(size, CountSpec):
            return size
        if isinstance(size, str):
            return cls.parse(size)
        return cls(tuple(tuple(item) if isinstance(item, list | tuple) else item for item in size))  # type: ignore[arg-type]  # checked there

    @classmethod
    def parse(cls, text: str) -> CountSpec:
        """The spec that is written ``1x3x224x224,1x77:int64``.

        Raises
        ------
        InputError
            The text is not of that form.
        """
        shapes, dtypes = [], []
        for item in text.split(","):
            found = re.fullmatch(r"\s*(\d+(?:x\d+)*)(?::(\w+))?\s*", item)
            if found is None:
                raise InputError(
                    f"{item!r} is no shape; expected sizes as in 1x3x640x640", where=f"input size {text!r}"
                )
            shapes.append(tuple(map(int, found[1].split("x"))))
            dtypes.append(found[2] or "float32")
        return cls(tuple(shapes), dtypes=tuple(dtypes))

    def build(self, device: str = "cpu") -> tuple[torch.Tensor, ...]:
        """The inputs: uniform in [0, 1) from a fixed seed, zeros of integers and truth values; on meta just shapes.

        The random numbers of the caller stay as they are.
        """
        require_torch()
        import torch

        dtypes = self.dtypes * (len(self.shapes) if len(self.dtypes) == 1 else 1)
        generator = torch.Generator().manual_seed(SEED)
        tensors = []
        for shape, name in zip(self.shapes, dtypes, strict=True):
            dtype = getattr(torch, name)
            if device == "meta":
                tensors.append(torch.empty(shape, dtype=dtype, device=device))
            elif dtype.is_floating_point:
                tensors.append(torch.rand(shape, generator=generator).to(device, dtype))
            else:
                tensors.append(torch.zeros(shape, dtype=dtype, device=device))
        return tuple(tensors)


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments of a call: of a mapping the names, of a tuple the items, of anything else itself.

    >>> arguments((1, 2)), arguments({"image": 1}), arguments(1)
    (((1, 2), {}), ((), {'image': 1}), ((1,), {}))
    """
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def require_torch() -> None:
    """Make sure that torch can be imported.

    Raises
    ------
    MissingDependency
        It is not installed.
    """
    try:
        import torch  # noqa: F401  # whether it is there is the question
    except ImportError as error:
        raise MissingDependency("models run in torch; pip install 'cvbench[models]'") from error


def require_device(name: str) -> None:
    """Make sure that torch can compute on a device.

    Raises
    ------
    InputError
        There is no such device, or torch cannot use it here.
    """
    import torch

    try:
        torch.ones(1, device=name).item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:  # what torch raises depends on the device
        raise InputError(f"torch cannot compute on {name!r}: {shorten(str(error), 120)}") from error


def load_model(name: str, *, device: str = "meta") -> torch.nn.Module:
    """The model that ``package.module:build`` names: what `build` returns, or `build` itself if it is a model.

    Parameters
    ----------
    name
        Importable module, colon, attribute (dotted for one of a class); the working directory is searched first.
    device
        Where the model is built. On ``meta`` its weights take no memory and no time; some builders read values and have
        to be run on ``cpu``.

    Raises
    ------
    InputError
        The name is not of that form, the module cannot be imported, has no such builder, or what it builds is no model.
    MissingDependency
        Torch is not installed.
    """
    require_torch()
    import torch

    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise InputError("expected package.module:build, a module and a function that returns a model", where=name)
    with _importable_from(Path.cwd()):
        try:
            found = importlib.import_module(module_name)
        except Exception as error:
            message = f"{module_name} cannot be imported: {_last_line(error)}"
            absent = isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}.")
            hint = "; install it, or run where it lies" if absent else ""
            raise InputError(message + hint, where=name) from error
        reached = module_name
        for part in attribute.split("."):
            if not hasattr(found, part):
                known = [known for known in dir(found) if not known.startswith("_")]
                raise InputError(f"{reached} has no {part!r}{did_you_mean(part, known)}", where=name)
            found, reached = getattr(found, part), f"{reached}.{part}"
        model: object = found if isinstance(found, torch.nn.Module) else _built(found, name, device)
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"built a {type(model).__name__}; expected a torch.nn.Module", where=name)
    return model


def _built(builder: object, name: str, device: str) -> object:
    import torch

    if not callable(builder):
        raise InputError(f"is a {type(builder).__name__}; expected a model or a function that returns one", where=name)
    try:
        with torch.device(device):
            return builder()
    except Exception as error:
        on_meta = device == "meta" and isinstance(error, RuntimeError)  # which is what torch raises where none are
        hint = "; where the builder reads values, build on device='cpu'" if on_meta else ""
        raise InputError(f"the builder fails: {_last_line(error)}{hint}", where=name) from error


def _last_line(error: Exception) -> str:
    """What a traceback ends with, and the place in other people's code that it ends at."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen importlib")
    ]
    place = f" ({frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


@contextmanager
def _importable_from(folder: Path) -> Iterator[None]:
    """Search `folder` first for modules, as ``python -m`` does."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
