# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder as an ONNX file of plain layers and one fixed size, as TensorRT's parser takes it.

In it are normalisation, network, upsampling and the largest logit of each classifier, in float32
and int32: no smoothing resize, no double arithmetic, no 8-bit tables, no size that is computed.
Images come in the size of the network's input; to scale them is left to who runs the file.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import write_bytes
from hier_seg_ros.segmenter.decision import Choice, DecisionRule
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.engines.proof import FLOAT32_LIMIT, photographs
from hier_seg_ros.segmenter.model_folder import InputOptions, read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork, fix_same_padding, fold_batch_norm
from hier_seg_trainer.export.onnx_export import OPSET, import_onnx

LARGEST = 8192


def export_plain_onnx(model_folder: Path, file: Path, height: int, width: int) -> str:
    """Write a model folder as an ONNX file of plain layers, and compare it with PyTorch.

    Its input ``images`` is float32 (1, 3, height, width), RGB, 0 to 255. Its output ``labels`` is
    int32 (1, height, width): node ids of the deepest decision, 255 where nothing was decided.

    Parameters
    ----------
    model_folder
        The folder.
    file
        The file to write.
    height, width
        Of the images, in pixels; multiples of the network's, which is 32.

    Returns
    -------
    str
        What the comparison has found, in one line.

    Raises
    ------
    HierSegError
        The size cannot be, onnx is missing, the file decides otherwise than PyTorch does, or it
        cannot be written.

    """
    import_onnx()
    description, hierarchy, network = read_model_folder(model_folder)
    _check_size(height, width, network.size_multiple)
    rule = DecisionRule(hierarchy, frozenset(description.supervised), DecisionOptions())
    fold_batch_norm(network.eval())
    fix_same_padding(network)
    for choice in rule.choices:
        network.keep_logits(choice.name, choice.logit_indices)
    graph = _PlainGraph(network, rule.choices, description.input, height, width).eval()
    content = _exported(graph, height, width)
    found = _compared(content, graph, height, width)
    write_bytes(file, content, 'choose another path')
    return found


def _exported(graph: nn.Module, height: int, width: int) -> bytes:
    """Return a module for images of one size as an ONNX file."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # The exporter warns of its own internals.
        warnings.simplefilter('ignore')
        path = Path(folder) / 'plain.onnx'
        torch.onnx.export(
            graph,
            (torch.zeros(1, 3, height, width),),
            path,
            input_names=['images'],
            output_names=['labels'],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return path.read_bytes()


class _PlainGraph(nn.Module):
    def __init__(
        self,
        network: HierarchicalNetwork,
        choices: tuple[Choice, ...],
        options: InputOptions,
        height: int,
        width: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.choices = choices
        self.size = height, width
        deviation = torch.tensor(options.standard_deviation).reshape(1, 3, 1, 1)
        mean = torch.tensor(options.mean).reshape(1, 3, 1, 1)
        self.register_buffer('scale', 1.0 / (255.0 * deviation))
        self.register_buffer('shift', -mean / deviation)

    def forward(self, images: Tensor) -> Tensor:
        features = self.network.features(images * self.scale + self.shift)
        labels: Tensor | None = None
        for choice in self.choices:
            logits = functional.interpolate(
                self.network.logits(features, choice.name),
                self.size,
                mode='bilinear',
                align_corners=False,
            )
            # The last one, "unlabelled", leaves a pixel at its parent.
            ids = torch.tensor((*choice.node_ids[:-1], choice.parent_id), dtype=torch.int32)
            winner = logits.argmax(1)
            # Written so, it becomes a Gather, which more parsers know than other ways to index.
            chosen = torch.index_select(ids, 0, winner.flatten()).reshape(winner.shape)
            labels = (
                chosen
                if labels is None
                else torch.where(labels == choice.parent_id, chosen, labels)
            )
        assert labels is not None
        return labels


def _check_size(height: int, width: int, multiple: int) -> None:
    if not all(0 < edge <= LARGEST and edge % multiple == 0 for edge in (height, width)):
        near = (min(max(1, round(edge / multiple)) * multiple, LARGEST) for edge in (height, width))
        raise HierSegError(
            f'--size {height}x{width}: both must be multiples of {multiple} up to {LARGEST}; give, '
            f'for example, {"x".join(map(str, near))}'
        )


def _compared(content: bytes, graph: _PlainGraph, height: int, width: int) -> str:
    """Return how many pixels of a photograph ONNX Runtime labels otherwise than PyTorch does."""
    try:
        import onnxruntime
    except ImportError:
        return 'not compared with PyTorch: onnxruntime is not installed'
    session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
    (photograph,) = photographs(1)
    rows = np.arange(height) * photograph.shape[0] // height
    columns = np.arange(width) * photograph.shape[1] // width
    images = photograph[rows][:, columns].transpose(2, 0, 1)[None].astype(np.float32)
    (labels,) = session.run(None, {'images': images})
    with torch.inference_mode():
        expected = graph(torch.from_numpy(images)).numpy()
    share = float(np.mean(labels != expected))
    found = f'{100 * share:.3f} % of the pixels of a photograph differ from PyTorch'
    if share > FLOAT32_LIMIT:
        raise HierSegError(
            f'ONNX export: {found}, more than {100 * FLOAT32_LIMIT:g} %; use another version of '
            f'torch'
        )
    return found
