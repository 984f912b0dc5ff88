# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder as a plain ONNX file for TensorRT: images of one size in, indices of classes out.

The graph normalises the images, pads them, runs the network, and takes each classifier's largest
logit at every pixel. Scaling and the way down the tree are left to the program that runs it: what
``onnx_export`` writes for them is beyond TensorRT's parser.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.writing import written_file
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.decision import Choice, DecisionRule
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.model_folder import InputOptions, read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork, fold_batch_norm
from hier_seg_ros.segmenter.segmenter import scaled_size
from hier_seg_trainer.export.onnx_export import OPSET, check_exporter, metadata_of

# Pixels. Below the first, no image of a street shows anything; the second is no camera's.
LEAST_SIDE, MOST_SIDE = 32, 16384


def parse_size(text: str) -> tuple[int, int]:
    """Return the height and width in a text such as ``512x704``.

    Raises
    ------
    HierSegError
        It is no size, or a side is outside 32-16384 pixels.

    """
    if not (match := re.fullmatch(r'([0-9]{1,6})x([0-9]{1,6})', text)):
        raise HierSegError(f'--size {shown(text)}: is no height and width; give them as in 512x704')
    height, width = int(match[1]), int(match[2])
    for side in (height, width):
        if not LEAST_SIDE <= side <= MOST_SIDE:
            raise HierSegError(
                f'--size {text}: {side} pixels are outside {LEAST_SIDE}-{MOST_SIDE}; choose '
                f'height and width between'
            )
    return height, width


def export_plain_onnx(
    model_folder: Path, file: Path, size: tuple[int, int], batch: int = 1
) -> tuple[int, int]:
    """Write a model folder as an ONNX file that TensorRT's parser takes.

    Its input ``images`` is float32 (batch, 3, height, width), RGB in 0-255. Each output
    ``labels_0`` … is int32 (batch, height, width): which class a classifier decides for, whether
    or not its parent was decided. The file's metadata has, in JSON, under ``outputs`` for each of
    them the classifier, its parent's node id (255: the root), and the names and node ids of its
    classes by index; the last one is "unlabelled", whose id is the parent's. Parents come first.
    A classifier that training did not supervise is left out, and so are classes of that kind.

    Parameters
    ----------
    model_folder
        The folder.
    file
        The file to write.
    size
        Height and width of the images, in pixels; any from 32 on.
    batch
        How many images run at once.

    Returns
    -------
    tuple[int, int]
        Height and width at which ``Segmenter`` runs the network for images of this size: another
        one than `size` where the model would scale them.

    Raises
    ------
    HierSegError
        torch is too old, onnx is missing, the network cannot be exported or has what TensorRT does
        not take, or the file cannot be written.

    """
    check_exporter()
    import onnx

    from hier_seg_trainer.export.tensorrt_graph import (
        check_operators,
        check_tensors,
        lower_to_opset_17,
    )

    description, hierarchy, network = read_model_folder(model_folder)
    rule = DecisionRule(hierarchy, frozenset(description.supervised), DecisionOptions())
    fold_batch_norm(network.eval())
    network.divide_logits(description.temperatures)
    for choice in rule.choices:
        network.keep_logits(choice.name, choice.logit_indices)
    names = [choice.name for choice in rule.choices]
    model = _exported(_LabelMaps(network, description.input, names), (batch, 3, *size))
    check_operators(model)
    lower_to_opset_17(model)
    check_tensors(model)
    model.producer_name = 'hier_seg_trainer'
    outputs = [_output(index, choice, hierarchy) for index, choice in enumerate(rule.choices)]
    images = {
        'name': 'images',
        'shape': [batch, 3, *size],
        'channels': ['red', 'green', 'blue'],
        'range': [0, 255],
    }
    metadata = {
        **metadata_of(description, hierarchy),
        'input': json.dumps(images),
        'outputs': json.dumps(outputs),
    }
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    with written_file(file, 'choose another path') as partial:
        partial.write_bytes(model.SerializeToString())
    image = description.input
    return scaled_size(*size, image.long_side, image.minimum_long_side)


class _LabelMaps(nn.Module):
    """From images (N, 3, H, W) in 0-255 to one map (N, H, W) int32 for each classifier."""

    scale: Tensor
    shift: Tensor

    def __init__(
        self, network: HierarchicalNetwork, image: InputOptions, classifiers: Sequence[str]
    ) -> None:
        super().__init__()
        self.network = network
        self.classifiers = tuple(classifiers)
        deviation = torch.tensor(image.standard_deviation).reshape(1, 3, 1, 1)
        mean = torch.tensor(image.mean).reshape(1, 3, 1, 1)
        self.register_buffer('scale', 1.0 / (255.0 * deviation))
        self.register_buffer('shift', -mean / deviation)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        height, width = images.shape[-2:]
        multiple = self.network.size_multiple
        inputs = images * self.scale + self.shift
        padding = (0, -width % multiple, 0, -height % multiple)
        if any(padding):
            inputs = functional.pad(inputs, padding, mode='replicate')
        features = self.network.features(inputs)
        maps = []
        for name in self.classifiers:
            dense = functional.interpolate(
                self.network.logits(features, name), inputs.shape[-2:], mode='bilinear'
            )
            # In int32 here, for the versions of TensorRT do not agree on the type of an argmax.
            winner = dense.argmax(1).to(torch.int32)
            maps.append(winner[:, :height, :width] if any(padding) else winner)
        return tuple(maps)


def _exported(maps: _LabelMaps, shape: tuple[int, ...]) -> Any:
    try:
        with warnings.catch_warnings():
            # The exporter warns of its own internals.
            warnings.simplefilter('ignore')
            program = torch.onnx.export(
                maps.eval(),
                (torch.zeros(shape),),
                input_names=['images'],
                output_names=[_output_name(index) for index in range(len(maps.classifiers))],
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        backbone = maps.network.options.backbone
        reason = ' '.join(str(error.__cause__ or error).split())[:200]
        raise HierSegError(
            f'plain ONNX: PyTorch cannot export the backbone {backbone} at this size ({reason}); '
            f'train a network with another backbone'
        ) from error
    assert program is not None
    return program.model_proto


def _output(index: int, choice: Choice, hierarchy: Hierarchy) -> dict[str, Any]:
    """Return what the metadata says about an output."""
    *ids, _ = choice.node_ids
    return {
        'name': _output_name(index),
        'classifier': choice.name,
        'parent': choice.parent_id,
        'classes': [*(hierarchy.node_by_id(node_id).name for node_id in ids), 'unlabelled'],
        'ids': [*ids, choice.parent_id],
    }


def _output_name(index: int) -> str:
    # Not the classifier's name: programs take lists of outputs, and that name may hold a comma.
    return f'labels_{index}'
