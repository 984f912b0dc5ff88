# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX files of plain layers and one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hier_seg_ros import Segmenter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription, write_model_folder
from hier_seg_ros.segmenter.network import LIGHT_DETAILED, build_network
from hier_seg_trainer.cli import main
from hier_seg_trainer.export import plain_onnx
from hier_seg_trainer.export.onnx_export import OLDEST_TORCH

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytestmark = pytest.mark.skipif(
    torch.__version__ < OLDEST_TORCH, reason=f'the ONNX export needs torch {OLDEST_TORCH}'
)
SIZE = 96, 160
PHOTOGRAPH = Path(__file__).resolve().parents[3] / 'docs' / 'images' / 'demo.jpg'


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory, tree: Hierarchy) -> Path:
    """Write a small model with details, whose backbone pads as TensorFlow does."""
    from dataclasses import replace

    torch.manual_seed(2)
    options = replace(LIGHT_DETAILED, shared_channels=16, branch_channels=4, detail_channels=4)
    network = build_network(options, tree).train()
    for name, parameter in network.named_parameters():
        if name.endswith('classifier.weight'):
            torch.nn.init.normal_(parameter)
    with torch.no_grad(), Image.open(PHOTOGRAPH) as image:
        pixels = torch.from_numpy(np.array(image.convert('RGB').resize(SIZE[::-1])))
        batch = pixels.permute(2, 0, 1)[None] / 127.5 - 1.0
        for _ in range(30):
            network(torch.cat([batch, batch.flip(3)]))
    description = ModelDescription(
        'small',
        options,
        InputOptions(160, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)),
        tuple(node.name for node in tree.nodes if node.depth != 2 or node.id % 2),
    )
    folder = tmp_path_factory.mktemp('plain') / 'model'
    write_model_folder(folder, description, tree, network.eval(), 'a test model')
    return folder


@pytest.fixture(scope='module')
def file(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('files') / 'plain.onnx'
    assert main(['export', str(model), '--onnx', str(path), '--plain', '--size', '96x160']) == 0
    return path


def test_labels_are_those_of_the_segmenter(model: Path, file: Path) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    with Image.open(PHOTOGRAPH) as image:
        picture = np.asarray(image.convert('RGB').resize(SIZE[::-1]))
    (labels,) = session.run(
        ['labels'], {'images': picture.transpose(2, 0, 1)[None].astype(np.float32)}
    )
    segmenter = Segmenter.load(model, 'cpu', engine='torch')
    (result,) = segmenter.segment([picture], confidence=False)
    assert labels.dtype == np.int32 and labels.shape == (1, *SIZE)
    assert len(np.unique(result.finest)) > 5
    assert (labels[0] != result.finest).mean() <= 0.001


def test_the_graph_has_nothing_that_tensorrt_lacks(file: Path) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(file), strict_mode=True).graph
    kinds = {node.op_type for node in graph.node}
    assert kinds <= {
        'Add', 'ArgMax', 'Cast', 'Clip', 'Constant', 'Conv', 'ConvTranspose', 'Equal', 'Gather',
        'Mul', 'ReduceMean', 'Relu', 'Reshape', 'Resize', 'Where',
    }  # fmt: skip
    for node in graph.node:
        if node.op_type == 'Resize':
            attributes = {entry.name: entry for entry in node.attribute}
            assert 'antialias' not in attributes or attributes['antialias'].i == 0
            assert attributes['mode'].s == b'linear'
            # Sizes are numbers of the file.
            assert node.input[-1] in {tensor.name for tensor in graph.initializer}
    values = [*graph.input, *graph.output, *graph.value_info]
    types = {value.type.tensor_type.elem_type for value in values}
    types |= {tensor.data_type for tensor in graph.initializer}
    allowed = {onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64}
    assert types <= allowed | {onnx.TensorProto.BOOL}
    for value in values:
        assert all(entry.dim_value > 0 for entry in value.type.tensor_type.shape.dim), value.name


def test_a_file_that_decides_otherwise_is_not_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = plain_onnx._exported

    def wrong(graph: plain_onnx._PlainGraph, height: int, width: int) -> bytes:
        before = graph.shift.clone()
        graph.shift += 1.0
        content = export(graph, height, width)
        graph.shift.copy_(before)
        return content

    monkeypatch.setattr(plain_onnx, '_exported', wrong)
    with pytest.raises(HierSegError, match='differ from PyTorch, more than'):
        plain_onnx.export_plain_onnx(model, tmp_path / 'x.onnx', *SIZE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--plain', '--size', '100x160'], 'for example, 96x160'),
        (['--plain', '--size', '0x160'], 'for example, 32x160'),
        (['--plain', '--size', '96x99999'], 'for example, 96x8192'),
        (['--plain'], '--plain: needs --onnx FILE and --size HxW'),
        (['--size', '96x160'], '--size: has no use without --plain'),
    ],
)
def test_what_cannot_be_is_named(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    assert main(['export', str(model), '--onnx', str(tmp_path / 'x.onnx'), *arguments]) == 1
    error = capsys.readouterr().err.strip()
    assert words in error and '\n' not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('size', ['96', '96x', 'axb', '96x160x3', '-96x160'])
def test_what_is_no_size_is_a_usage_error(model: Path, tmp_path: Path, size: str) -> None:
    with pytest.raises(SystemExit):
        main(['export', str(model), '--onnx', str(tmp_path / 'x'), '--plain', f'--size={size}'])
