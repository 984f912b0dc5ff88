# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``weights.safetensors``: a network's tensors, with the classes that they were trained for.

The file begins with a header: its length in 8 bytes, and JSON with the name, type, shape and place
of each tensor. So it can be compared with the network before either of them is in memory.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.reading import parse_json
from hier_seg_ros.hierarchy import Hierarchy

# That of the default model has 51 kB, for 475 tensors.
MOST_HEADER_BYTES = 2**20
# Types of the file that may stand for one of the network, and the bytes of each value.
_TYPES = {
    torch.float32: {'F32': 4, 'F16': 2, 'BF16': 2},
    torch.int64: {'I64': 8},
    torch.int32: {'I32': 4},
    torch.uint8: {'U8': 1},
    torch.bool: {'BOOL': 1},
}
# The header's key for texts, and the one among these with the classes.
_METADATA, _CLASSIFIERS = '__metadata__', 'classifiers'
_UNFIT = 'the weights do not fit the network and tree: export the model anew'


@dataclass(frozen=True)
class WeightsHeader:
    """The header of a file of weights.

    Attributes
    ----------
    data
        The header itself, with its length.
    tensors
        What it says of each tensor, by name; not checked yet.
    classifier_names
        What it says of the classes that the weights were trained for: something to compare by
        `check_classifier_names`; None where it says nothing, as in folders of format 1.

    """

    data: bytes
    tensors: Mapping[str, Any]
    classifier_names: object | None


def weights_data(network: nn.Module, hierarchy: Hierarchy) -> bytes:
    """Return a file of weights for the weights of a network and the classes of its tree."""
    # The batch counters of batch normalisation are of no use once training is over.
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if not is_counter(name)
    }
    return save_tensors(tensors, {_CLASSIFIERS: json.dumps(hierarchy.classifier_names())})


def is_counter(name: str) -> bool:
    """Return whether a tensor counts batches, and so is in no file."""
    return name.endswith('.num_batches_tracked')


def read_header(path: Path) -> WeightsHeader:
    """Return the header of a file of weights.

    Raises
    ------
    HierSegError
        The file cannot be read, or does not begin with such a header.

    """
    try:
        with path.open('rb') as file:
            prefix = file.read(8)
            length = int.from_bytes(prefix, 'little')
            header = file.read(min(length, MOST_HEADER_BYTES))
    except OSError as error:
        raise HierSegError(
            f'{path}: cannot be read ({error.strerror}); check its permissions'
        ) from error
    if len(prefix) < 8 or len(header) < length:
        raise _not_safetensors(path, f'its header, of {length} bytes, is cut off or too long')
    text = header.decode('utf-8', 'replace')
    content = parse_json(text, f'{path}: is no safetensors file: its header')
    if not isinstance(content, dict):
        raise _not_safetensors(path, 'its header is no mapping')
    metadata = content.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(map(_is_text, metadata.values())):
        raise _not_safetensors(path, f'its {_METADATA} is no mapping to texts')
    names = metadata.get(_CLASSIFIERS)
    return WeightsHeader(
        prefix + header,
        content,
        None if names is None else parse_json(names, f'{path}: {_METADATA}: {_CLASSIFIERS}'),
    )


def check_header(header: WeightsHeader, expected: Mapping[str, Tensor], path: Path) -> int:
    """Check that a file holds the tensors of a network; return the bytes that it must have.

    Parameters
    ----------
    header
        The file's header.
    expected
        The network's tensors, by name; it need not hold their values.
    path
        The file, for errors.

    Raises
    ------
    HierSegError
        A tensor is missing, unknown, of another shape, or of a type that it is not computed in.

    """
    wanted = {name: tensor for name, tensor in expected.items() if not is_counter(name)}
    for name in sorted(wanted.keys() - header.tensors.keys()):
        raise HierSegError(f'{path}: the tensor {name!r} is missing; {_UNFIT}')
    for name in sorted(header.tensors.keys() - wanted.keys()):
        raise HierSegError(f'{path}: the tensor {shown(name)} is unknown; {_UNFIT}')
    size = len(header.data)
    for name, tensor in sorted(wanted.items()):
        entry = header.tensors[name]
        stored_type, shape = (
            (entry.get('dtype'), entry.get('shape')) if isinstance(entry, dict) else (None, None)
        )
        if shape != list(tensor.shape):
            raise HierSegError(
                f'{path}: the tensor {name!r} has shape {shown(shape)}, not '
                f'{list(tensor.shape)}; {_UNFIT}'
            )
        bytes_of = _TYPES.get(tensor.dtype, {})
        if not _is_text(stored_type) or stored_type not in bytes_of:
            raise HierSegError(
                f'{path}: the tensor {name!r} has the type {shown(stored_type)}, which is none of '
                f'{", ".join(bytes_of)}; {_UNFIT}'
            )
        size += math.prod(tensor.shape) * bytes_of[stored_type]
    return size


def read_tensors(path: Path, header: WeightsHeader, size: int, sha256: str) -> dict[str, Tensor]:
    """Return the tensors of a file of weights.

    Parameters
    ----------
    path
        The file.
    header
        Its header.
    size
        The bytes that it must have.
    sha256
        The SHA-256 that it must have.

    Raises
    ------
    HierSegError
        The file cannot be read, has another length or SHA-256, is no safetensors file, or holds a
        value that is not finite.

    """
    try:
        found = path.stat().st_size
        if found != size:
            raise HierSegError(
                f'{path}: has {found} bytes, its tensors take {size}; the file is damaged: copy '
                f'the model folder again'
            )
        with path.open('rb') as file:
            data = file.read(size)
    except OSError as error:
        raise HierSegError(
            f'{path}: cannot be read ({error.strerror}); copy the model folder again'
        ) from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise HierSegError(
            f'{path}: its SHA-256 is {actual}, model.yaml says {sha256}; the file is damaged or '
            f'of another model: copy the model folder again'
        )
    try:
        tensors = load_tensors(data)
    except SafetensorError as error:
        raise _not_safetensors(path, ' '.join(str(error).split())[:300]) from error
    # The file may have changed since its header was read.
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    if shapes != {name: entry['shape'] for name, entry in header.tensors.items()}:
        raise _not_safetensors(path, 'its header names a tensor twice, or has changed')
    for name, tensor in sorted(tensors.items()):
        if not torch.isfinite(tensor).all():
            raise HierSegError(
                f'{path}: the tensor {name!r} holds NaN or infinity; the training went wrong: '
                f'export an earlier checkpoint'
            )
    return tensors


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _not_safetensors(path: Path, reason: str) -> HierSegError:
    return HierSegError(f'{path}: is no safetensors file ({reason}); export it anew')
