# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorRT takes of a graph: every kind of thing that it does not take is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import small_model

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import NetworkOptions

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

from hier_seg_trainer.export import tensorrt_graph  # noqa: E402  (imports onnx)
from hier_seg_trainer.export.onnx_export import OLDEST_TORCH, export_onnx  # noqa: E402


def graph_of(body: str, inputs: str = 'float[1, 4, 6, 8] x', opset: int = 18) -> onnx.ModelProto:
    """Return a graph of some lines; its output is `y`."""
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : {opset}, "other" : 1]>\n'
        f'graph ({inputs}) => (y)\n{{ {body} }}'
    )


def with_initializers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph with its constants as the exporter writes them: beside the nodes."""
    for node in [node for node in model.graph.node if node.op_type == 'Constant']:
        tensor = onnx.helper.get_attribute_value(node.attribute[0])
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        model.graph.node.remove(node)
    return model


SIZES = 's = Constant <value = int64[4] {1, 4, 12, 16}> () '
PADS = 'p = Constant <value = int64[8] {0, 0, 0, 0, 0, 0, 1, 1}> () '
REFUSED_OPERATORS = {
    'an operator of another domain': ('y = other.Relu (x)', 'operator other.Relu'),
    'an operator that is in no table': ('y = Det (x)', 'operator Det'),
    'a newer operator': ('y = Mish (x)', 'operator Mish'),
    'antialiasing': (
        SIZES + 'y = Resize <mode = "linear", antialias = 1> (x, , , s)',
        'Resize with antialias 1',
    ),
    'cubic interpolation': (
        SIZES + 'y = Resize <mode = "cubic"> (x, , , s)',
        'Resize with mode cubic',
    ),
    'cutting out': (
        SIZES + 'y = Resize <coordinate_transformation_mode = "tf_crop_and_resize"> (x, , , s)',
        'coordinate_transformation_mode tf_crop_and_resize',
    ),
    'a kept aspect ratio': (
        SIZES + 'y = Resize <keep_aspect_ratio_policy = "not_larger"> (x, , , s)',
        'keep_aspect_ratio_policy not_larger',
    ),
    'padding that wraps': (PADS + 'y = Pad <mode = "wrap"> (x, p)', 'Pad with mode wrap'),
    'the last of equal values': (
        'y = ArgMax <axis = 1, select_last_index = 1> (x)',
        'ArgMax with select_last_index 1',
    ),
    'indices of a maximum': (
        'y, i = MaxPool <kernel_shape = [2, 2]> (x)',
        'MaxPool with several outputs',
    ),
    'axes that are computed': (
        'a = Shape (x) y = ReduceMean (x, a)',
        'operator Shape',
    ),
}


@pytest.mark.parametrize('name', REFUSED_OPERATORS)
def test_operators_and_attributes_are_refused(name: str) -> None:
    body, message = REFUSED_OPERATORS[name]
    with pytest.raises(HierSegError, match=re.escape(message)) as raised:
        tensorrt_graph.check_operators(graph_of(body))
    assert '\n' not in str(raised.value)


def test_axes_that_are_an_input_are_refused() -> None:
    graph = graph_of('y = ReduceMean (x, a)', 'float[1, 4, 6, 8] x, int64[2] a')
    with pytest.raises(HierSegError, match='ReduceMean with axes that are computed'):
        tensorrt_graph.check_operators(graph)


REFUSED_TENSORS = {
    'a double': ('y = Cast <to = 11> (x)', None, 'Cast of type double'),
    'a uint8': ('y = Cast <to = 2> (x)', None, 'Cast of type uint8'),
    'a float16': ('y = Cast <to = 10> (x)', None, 'Cast of type float16'),
    'a table of uint8': (
        't = Constant <value = uint8[2] {1, 2}> () i = ArgMax (x) y = Gather (t, i)',
        None,
        'a constant of type uint8',
    ),
    'integers that are computed with': (
        'i = ArgMax (x) y = Add (i, i)',
        None,
        'Add of type int64',
    ),
    'an input of uint8': ('y = Cast <to = 1> (x)', 'uint8[1, 4, 6, 8] x', 'an input of type uint8'),
    'any number of images': ('y = Relu (x)', 'float[N, 4, 6, 8] x', 'without a fixed shape'),
    'any height': ('y = Relu (x)', 'float[1, 4, H, 8] x', 'without a fixed shape'),
    'more than it can count': ('y = Relu (x)', 'float[2, 64, 4096, 4096] x', 'fewer than 2^31'),
}


@pytest.mark.parametrize('name', REFUSED_TENSORS)
def test_types_shapes_and_sizes_are_refused(name: str) -> None:
    body, inputs, message = REFUSED_TENSORS[name]
    graph = graph_of(body, inputs or 'float[1, 4, 6, 8] x', opset=17)
    with pytest.raises(HierSegError, match=re.escape(message)) as raised:
        tensorrt_graph.check_tensors(with_initializers(graph))
    assert '\n' not in str(raised.value)


LOWERED = {
    'axes of a mean': 'a = Constant <value = int64[2] {2, -1}> () y = ReduceMean (x, a)',
    'axes of a maximum, shape not kept': (
        'a = Constant <value = int64[1] {1}> () y = ReduceMax <keepdims = 0> (x, a)'
    ),
    'a mean over everything': 'y = ReduceMean (x)',
    'axes that two reductions share': (
        'a = Constant <value = int64[1] {3}> () m = ReduceMin (x, a) n = ReduceL2 (x, a) '
        'y = Add (m, n)'
    ),
    'axes of a sum, still an input': (
        'a = Constant <value = int64[2] {2, 3}> () y = ReduceSum (x, a)'
    ),
    'resizing': (
        SIZES + 'y = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel", '
        'antialias = 0, keep_aspect_ratio_policy = "stretch"> (x, , , s)'
    ),
    'padding': PADS + 'y = Pad <mode = "edge"> (x, p)',
    'equal parts': 'a, b = Split <axis = 1, num_outputs = 2> (x) y = Sub (a, b)',
}


@pytest.mark.parametrize('constants', ['beside the nodes', 'as nodes'])
@pytest.mark.parametrize('name', LOWERED)
def test_a_lowered_graph_computes_the_same(name: str, constants: str) -> None:
    model = graph_of(LOWERED[name])
    del model.opset_import[1]
    if constants == 'beside the nodes':
        model = with_initializers(model)
    model = onnx.shape_inference.infer_shapes(model)
    tensorrt_graph.check_operators(model)
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    tensorrt_graph.lower_to_opset_17(lowered)
    tensorrt_graph.check_tensors(lowered)
    onnx.checker.check_model(lowered, full_check=True)
    assert [entry.version for entry in lowered.opset_import] == [17]
    x = np.random.default_rng(1).normal(size=(1, 4, 6, 8)).astype(np.float32)
    before, after = (
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, {'x': x})[0]
        for each in (model, lowered)
    )
    np.testing.assert_array_equal(before, after)


@pytest.mark.skipif(
    torch.__version__ < OLDEST_TORCH, reason=f'the ONNX export needs torch {OLDEST_TORCH}'
)
def test_the_file_with_the_decision_inside_is_refused(tmp_path: Path) -> None:
    options = NetworkOptions(
        backbone='test_resnet',
        backbone_options={},
        fused_strides=(8,),
        shared_channels=8,
        branch_channels=0,
        image_pooling=False,
        learned_upsampling=False,
    )
    nodes = [{'id': i, 'name': f'n{i}', 'color': [i, 0, 0], 'parent': None} for i in range(3)]
    tree = Hierarchy({'format': 1, 'name': 'three', 'nodes': nodes})
    export_onnx(small_model(tmp_path / 'model', options, tree), tmp_path / 'a.onnx')
    model = onnx.load(tmp_path / 'a.onnx')
    with pytest.raises(HierSegError, match='which TensorRT does not take'):
        tensorrt_graph.check_operators(model)
    with pytest.raises(HierSegError, match='which TensorRT does not take'):
        tensorrt_graph.check_tensors(model)
