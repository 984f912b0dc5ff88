# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorRT's ONNX parser takes of a graph, and how a graph becomes one that it takes.

The operators, and the attributes that restrict them, are those of the tables ``docs/operators.md``
of the parser's repository, onnx/onnx-tensorrt, at the releases 8.6 and 10.1. Modes of ``Pad`` are
not in the tables; they are what the importer of that operator accepts in both.
"""

from __future__ import annotations

import math
from typing import Any

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from hier_seg_ros.errors import HierSegError

# TensorRT 8.6 takes no newer one.
OPSET = 17
# That of the ONNX release with this opset: readers of that time refuse a newer one.
IR_VERSION = 8
# In TensorRT 8.6 each tensor must have fewer values.
MOST_VALUES = 2**31

# In both tables, each for float32.
OPERATORS = frozenset({
    'Abs', 'Add', 'ArgMax', 'AveragePool', 'BatchNormalization', 'Cast', 'Celu', 'Clip', 'Concat',
    'Constant', 'Conv', 'ConvTranspose', 'Cos', 'DepthToSpace', 'Div', 'Elu', 'Erf', 'Exp',
    'Expand', 'Gather', 'Gemm', 'GlobalAveragePool', 'GlobalMaxPool', 'HardSigmoid', 'HardSwish',
    'Identity', 'InstanceNormalization', 'LayerNormalization', 'LeakyRelu', 'Log', 'MatMul',
    'Max', 'MaxPool', 'Min', 'Mul', 'Neg', 'PRelu', 'Pad', 'Pow', 'Reciprocal', 'ReduceL1',
    'ReduceL2', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceSum', 'Relu', 'Reshape', 'Resize',
    'Selu', 'Sigmoid', 'Sin', 'Slice', 'Softmax', 'Softplus', 'Softsign', 'SpaceToDepth', 'Split',
    'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tanh', 'Transpose', 'Unsqueeze',
})  # fmt: skip

# What an attribute may be; one that is not there has the first value.
ATTRIBUTES: dict[str, dict[str, tuple[Any, ...]]] = {
    'ArgMax': {'select_last_index': (0,)},
    'Pad': {'mode': ('constant', 'edge', 'reflect')},
    'Resize': {
        'antialias': (0,),
        'coordinate_transformation_mode': (
            'half_pixel', 'pytorch_half_pixel', 'asymmetric', 'align_corners',
        ),
        'keep_aspect_ratio_policy': ('stretch',),
        'mode': ('nearest', 'linear'),
        'nearest_mode': ('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'),
    },
}  # fmt: skip

# Of a second output, such as the indices of a maximum, the parser makes nothing.
_ONE_OUTPUT = frozenset({'BatchNormalization', 'LayerNormalization', 'MaxPool'})
# Label maps are the only integers that are computed: the winner and what is made of it.
_TYPES = {
    'ArgMax': {TensorProto.INT64},
    'Cast': {TensorProto.FLOAT, TensorProto.INT32},
    'Constant': {TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64},
    'Slice': {TensorProto.FLOAT, TensorProto.INT32},
}
_INITIALIZER_TYPES = {TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64}
# Their axes were an attribute up to opset 17.
_REDUCTIONS = frozenset({'ReduceL1', 'ReduceL2', 'ReduceMax', 'ReduceMean', 'ReduceMin'})
# Attributes that came with opset 18; where the graph passes the check, each has its default.
_NEW_ATTRIBUTES = frozenset({
    'antialias', 'keep_aspect_ratio_policy', 'noop_with_empty_axes', 'num_outputs',
})  # fmt: skip


def lower_to_opset_17(model: ModelProto) -> None:
    """Write a graph of opset 18 as one of opset 17, in place; it computes the same.

    onnx's own converter does not know all operators on this way.

    Parameters
    ----------
    model
        A graph whose operators pass `check_operators`.

    """
    constants = _constants(model)
    for node in model.graph.node:
        kept = [each for each in node.attribute if each.name not in _NEW_ATTRIBUTES]
        del node.attribute[:]
        node.attribute.extend(kept)
        if node.op_type in _REDUCTIONS and len(node.input) > 1:
            axes = onnx.numpy_helper.to_array(constants[node.input.pop()])
            node.attribute.append(onnx.helper.make_attribute('axes', axes.tolist()))
    used = {name for node in model.graph.node for name in node.input}
    kept_tensors = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept_tensors)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid('', OPSET))
    model.ir_version = IR_VERSION


def check_operators(model: ModelProto) -> None:
    """Check that TensorRT's parser takes each operator of a graph, with its attributes.

    Raises
    ------
    HierSegError
        It does not take one; the line names it.

    """
    constants = _constants(model)
    for node in model.graph.node:
        if node.domain not in ('', 'ai.onnx') or node.op_type not in OPERATORS:
            raise _refused(f'the operator {node.domain}{"." * bool(node.domain)}{node.op_type}')
        for name, values in ATTRIBUTES.get(node.op_type, {}).items():
            value = _attribute(node, name, values[0])
            if value not in values:
                raise _refused(f'{node.op_type} with {name} {value}')
        if node.op_type in _ONE_OUTPUT and len([name for name in node.output if name]) > 1:
            raise _refused(f'{node.op_type} with several outputs')
        if node.op_type in _REDUCTIONS and len(node.input) > 1 and node.input[1] not in constants:
            raise _refused(f'{node.op_type} with axes that are computed')


def check_tensors(model: ModelProto) -> None:
    """Check that all tensors of a graph have a fixed shape and a type and size for TensorRT.

    These are float32, and int32 and int64 for label maps and constants: no double, and no uint8.

    Raises
    ------
    HierSegError
        One has not; the line names it.

    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    graph = inferred.graph
    for tensor in graph.initializer:
        if tensor.data_type not in _INITIALIZER_TYPES:
            raise _refused(f'a constant of type {_type_name(tensor.data_type)}')
    for value in graph.input:
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            raise _refused(f'an input of type {_type_name(value.type.tensor_type.elem_type)}')
    values = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    for node in graph.node:
        for name in node.output:
            if name not in values:
                raise _refused(f'a tensor of {node.op_type} whose shape is not known')
            kind = values[name].type.tensor_type.elem_type
            if kind not in _TYPES.get(node.op_type, {TensorProto.FLOAT}):
                raise _refused(f'{node.op_type} of type {_type_name(kind)}')
    for value in values.values():
        dimensions = value.type.tensor_type.shape.dim
        if not all(dimension.HasField('dim_value') for dimension in dimensions):
            raise _refused(f'a tensor without a fixed shape, {value.name}')
        shape = [dimension.dim_value for dimension in dimensions]
        if math.prod(shape) >= MOST_VALUES:
            raise HierSegError(
                f'plain ONNX: a tensor would have {"x".join(map(str, shape))} values, and TensorRT '
                f'takes fewer than 2^31; choose a smaller --size or --batch'
            )


def _constants(model: ModelProto) -> dict[str, TensorProto]:
    """Return the constants of a graph by name, in whichever of the two ways they are written."""
    nodes = [node for node in model.graph.node if node.op_type == 'Constant']
    values = {node.output[0]: _attribute(node, 'value', None) for node in nodes}
    return {tensor.name: tensor for tensor in model.graph.initializer} | values


def _attribute(node: NodeProto, name: str, default: object) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            value = onnx.helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _type_name(kind: int) -> str:
    return TensorProto.DataType.Name(kind).lower()


def _refused(what: str) -> HierSegError:
    return HierSegError(
        f'plain ONNX: the network needs {what}, which TensorRT does not take; leave --plain out, '
        f'or train a network without it'
    )
