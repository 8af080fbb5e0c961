"""Files of weights: half precision in the format of safetensors, which holds numbers and no code."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from cvbench.errors import FormatError, InputError, MismatchError
from cvbench.result import replace_file


def save_weights(model: nn.Module, path: Path) -> str:
    """Write parameters and buffers of a model to a file, floats as float16.

    What `load_weights` reads back is rounded: whoever wants the figures of the file scores the model that was loaded.

    Parameters
    ----------
    model
        On any device.
    path
        Holds the old content or the new one at every moment.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    InputError
        A value is not finite, or too large for float16 (65504).
    """
    tensors = {}
    for name, tensor in model.state_dict().items():
        stored = tensor.detach().cpu().contiguous()
        if stored.is_floating_point():
            stored = stored.half()
            if not stored.isfinite().all():
                raise InputError("has values that are not finite in float16", where=name)
        tensors[name] = stored.clone()  # two names of one tensor are written twice; the format does not know of sharing
    content = save(tensors)
    replace_file(path, content)
    return hashlib.sha256(content).hexdigest()


def load_weights(model: nn.Module, path: Path, sha256: str | None = None) -> None:
    """Put the weights in a file into a model, each in the type that the model has.

    Parameters
    ----------
    model
        As the one that was saved; its parameters and buffers change, and only if all of them fit.
    path
        Written by `save_weights`. Reading it executes nothing.
    sha256
        What the file has to have; None takes any file.

    Raises
    ------
    FormatError
        The file is no file of weights.
    InputError
        There is no such file.
    MismatchError
        Its hash is another one, or its weights are those of another model; the message names the first.
    """
    if not path.exists():
        raise InputError("there is no such file; expected the weights of a trained model", where=str(path))
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise MismatchError(
            f"has SHA-256 {found}; expected {sha256}, so it was changed or is of another training", where=str(path)
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise FormatError(f"is no file of weights: {error}", where=str(path)) from error
    expected = model.state_dict()
    for name in [*expected, *sorted(tensors.keys() - expected.keys())]:
        ours, theirs = _text(expected.get(name)), _text(tensors.get(name))
        if ours != theirs:
            message = f"{name} is {theirs} there and {ours} in the {type(model).__name__}"
            raise MismatchError(f"{message}; they are of another model or size", where=str(path))
    model.load_state_dict({name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()})


def _text(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    kind = "floating" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {tuple(tensor.shape)}"
