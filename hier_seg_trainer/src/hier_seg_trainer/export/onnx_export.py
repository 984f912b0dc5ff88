# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder as one ONNX file: images of any size in, label maps out.

The graph holds everything that ``Segmenter.segment`` does: scaling, normalisation and padding, the
network, and the decision from the root down. What differs is rounding, and that every classifier
is upsampled everywhere: an ONNX graph has no cheap way to skip the pixels that its parent did not
decide for.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_file
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, check_classifier_names
from hier_seg_ros.segmenter.decision import Choice, DecisionRule
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription, read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork, fix_same_padding, fold_batch_norm

if TYPE_CHECKING:
    import onnx

# The first one whose Resize can smooth while it scales down, as the segmenter does.
OPSET = 18
# Exporters before it cannot scale features to a size that is not known yet.
OLDEST_TORCH = '2.7'

# What runs at height x width of an image; {network} stands for the merged network between them.
_PREPARE = """
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
prepare (uint8[N, H, W, 3] images)
  => (float[N, 3, PADDED_H, PADDED_W] inputs, int64[2] size, float[2] logits_per_pixel)
{{
  zero = Constant <value = int64[1] {{0}}> ()
  one = Constant <value = int64[1] {{1}}> ()
  three = Constant <value = int64[1] {{3}}> ()
  shape = Shape (images)
  batch = Slice (shape, zero, one)
  size = Slice (shape, one, three)

  long_side = Constant <value = double[1] {{{long_side}}}> ()
  longer = ReduceMax (size)
  longer_double = Cast <to = 11> (longer)
  minimum_long_side = Constant <value = double[1] {{{minimum_long_side}}}> ()
  at_least = Max (longer_double, minimum_long_side)
  wanted = Min (at_least, long_side)
  scale = Div (wanted, longer_double)
  size_double = Cast <to = 11> (size)
  scaled_double = Mul (size_double, scale)
  rounded = Round (scaled_double)
  one_pixel = Constant <value = double[1] {{1.0}}> ()
  at_least_one = Max (rounded, one_pixel)
  scaled_size = Cast <to = 7> (at_least_one)

  channels_first = Transpose <perm = [0, 3, 1, 2]> (images)
  float_images = Cast <to = 1> (channels_first)
  target_shape = Concat <axis = 0> (batch, three, scaled_size)
  scaled = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel",
    antialias = 1, exclude_outside = 1> (float_images, , , target_shape)
  factor = Constant <value = float[1, 3, 1, 1] {{{factor}}}> ()
  offset = Constant <value = float[1, 3, 1, 1] {{{offset}}}> ()
  multiplied = Mul (scaled, factor)
  normalised = Add (multiplied, offset)

  multiple = Constant <value = int64[1] {{{multiple}}}> ()
  negative_size = Neg (scaled_size)
  missing = Mod (negative_size, multiple)
  nothing = Constant <value = int64[6] {{0, 0, 0, 0, 0, 0}}> ()
  padding = Concat <axis = 0> (nothing, missing)
  inputs = Pad <mode = "edge"> (normalised, padding)

  stride = Constant <value = double[1] {{{stride}}}> ()
  scaled_size_double = Cast <to = 11> (scaled_size)
  ratio = Div (size_double, scaled_size_double)
  logits_per_pixel_double = Mul (ratio, stride)
  logits_per_pixel = Cast <to = 1> (logits_per_pixel_double)
}}
"""

_DECIDE = """
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
decide ({inputs}, int64[2] size, float[2] logits_per_pixel) => ({outputs})
{{
  ones = Constant <value = float[2] {{1.0, 1.0}}> ()
  scales = Concat <axis = 0> (ones, logits_per_pixel)
  begin = Constant <value = int64[2] {{0, 0}}> ()
  image_axes = Constant <value = int64[2] {{2, 3}}> ()
  one_row_and_column = Constant <value = int64[8] {{0, 0, 0, 0, 0, 0, 1, 1}}> ()
{steps}
}}
"""

# Rounding may make the upsampled logits a row too small: one more row and column, equal to the
# last ones as they are at the border anyway, and then cut to size. Node ids are int32 until the
# end, because runtimes such as onnxruntime 1.18 compare no uint8.
_CLASSIFIER = """
  indices_{n} = Constant <value = int64[{count}] {{{indices}}}> ()
  selected_{n} = Gather <axis = 1> (logits_{n}, indices_{n})
  widened_{n} = Pad <mode = "edge"> (selected_{n}, one_row_and_column)
  enlarged_{n} = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel">
    (widened_{n}, , scales)
  dense_{n} = Slice (enlarged_{n}, begin, size, image_axes)
  winner_{n} = ArgMax <axis = 1, keepdims = 0> (dense_{n})
  nodes_{n} = Constant <value = int32[{count}] {{{nodes}}}> ()
  chosen_{n} = Gather (nodes_{n}, winner_{n})
"""
_ROOT = '  decided_0 = Identity (chosen_0)'
_BELOW = """
  parent_{n} = Constant <value = int32[1] {{{parent}}}> ()
  of_parent_{n} = Equal (decided_{before}, parent_{n})
  decided_{n} = Where (of_parent_{n}, chosen_{n}, decided_{before})
"""
_MAP = """
  table_{name} = Constant <value = uint8[256] {{{table}}}> ()
  index_{name} = Cast <to = 7> (decided_{last})
  {name} = Gather (table_{name}, index_{name})
"""


def export_onnx(
    model_folder: Path, file: Path, decision_options: DecisionOptions | None = None
) -> None:
    """Write a model folder as an ONNX file.

    Its input ``images`` is uint8 (N, H, W, 3), RGB, of any N, H and W. Its outputs are uint8
    (N, H, W): ``level_1`` … with node ids of the deepest decision of that depth, 255 where nothing
    was decided; ``traffic_signs`` and ``categories`` as in ``SegmentationResult``. The tree, the
    classes of each classifier and the model's name are in the file's metadata.

    Parameters
    ----------
    model_folder
        The folder.
    file
        The file to write.
    decision_options
        They become part of the graph; ``min_confidence`` cannot.

    Raises
    ------
    HierSegError
        torch is too old, onnx is missing, an option cannot be exported, or the file cannot be
        written.

    """
    check_exporter()
    import onnx
    import onnx.compose
    import onnx.parser

    options = decision_options or DecisionOptions()
    if options.min_confidence > 0.0:
        raise HierSegError('ONNX export: min_confidence cannot be part of the graph; leave it at 0')
    description, hierarchy, network = read_model_folder(model_folder)
    rule = DecisionRule(hierarchy, frozenset(description.supervised), options)
    fold_batch_norm(network)
    network.divide_logits(description.temperatures)
    fix_same_padding(network)

    core = _export_network(network, [choice.name for choice in rule.choices])
    header = {'ir_version': core.ir_version, 'opset': OPSET}
    prepare = onnx.parser.parse_model(
        _PREPARE.format(**header, **_preparation(description.input, network))
    )
    decide = onnx.parser.parse_model(
        _DECIDE.format(**header, **_decision(rule.choices, hierarchy, options))
    )
    prefixed = onnx.compose.add_prefix(core, 'network/')
    names = [value.name for value in prefixed.graph.output]
    model = onnx.compose.merge_models(
        prepare, prefixed, io_map=[('inputs', prefixed.graph.input[0].name)]
    )
    model = onnx.compose.merge_models(
        model,
        decide,
        io_map=[
            *((name, f'logits_{n}') for n, name in enumerate(names)),
            ('size', 'size'),
            ('logits_per_pixel', 'logits_per_pixel'),
        ],
    )
    model.producer_name = 'hier_seg_trainer'
    onnx.helper.set_model_props(model, metadata_of(description, hierarchy))
    onnx.checker.check_model(model, full_check=True)
    with written_file(file, 'choose another path') as partial:
        partial.write_bytes(model.SerializeToString())
        check_onnx_classes(partial, hierarchy)


def check_exporter() -> None:
    """Check that what an export needs is installed.

    Raises
    ------
    HierSegError
        torch is too old, or onnx or onnxscript is missing.

    """
    if torch.__version__ < OLDEST_TORCH:  # torch compares it as a version, not as text
        raise HierSegError(
            f'ONNX export: torch {torch.__version__} cannot export these networks; '
            f"pip install 'torch>={OLDEST_TORCH}'"
        )
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401  (PyTorch's exporter asks for it halfway)
    except ImportError as error:
        raise HierSegError(
            f'ONNX export: the package {error.name} is not installed; '
            f"pip install 'hier_seg_trainer[onnx]'"
        ) from error


def metadata_of(description: ModelDescription, hierarchy: Hierarchy) -> dict[str, str]:
    """Return what the metadata of every exported file says: the model's name, tree and classes."""
    return {
        'name': description.name,
        'hierarchy': json.dumps(hierarchy.as_dict()),
        'classes': json.dumps(hierarchy.classifier_names()),
        'supervised': json.dumps(list(description.supervised)),
    }


def check_onnx_classes(file: Path, hierarchy: Hierarchy) -> None:
    """Check that the classifiers of an exported file are those of a tree.

    Raises
    ------
    HierSegError
        They have other classes, or in another order, or the file does not say.

    """
    import onnx

    recorded = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    names = json.loads(recorded.get('classes', '{}'))
    try:
        check_classifier_names(names, hierarchy, f'tree {hierarchy.name}')
    except HierSegError as error:
        raise HierSegError(f'{file}: is of another tree ({error}); export it anew') from error


class _Logits(nn.Module):
    """The network as a function from images to a tuple of logits, in a fixed order."""

    def __init__(self, network: HierarchicalNetwork, classifiers: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.classifiers = tuple(classifiers)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        logits = self.network(images, self.classifiers)
        return tuple(logits[name] for name in self.classifiers)


def _export_network(network: HierarchicalNetwork, classifiers: Sequence[str]) -> onnx.ModelProto:
    """Return the network as an ONNX model; height and width are free multiples of its multiple."""
    import onnx

    multiple = network.size_multiple
    example = torch.zeros(2, 3, 2 * multiple, 3 * multiple)
    height, width = (multiple * torch.export.Dim(name, min=1) for name in ('rows', 'columns'))
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # The exporter warns of its own internals.
        warnings.simplefilter('ignore')
        path = Path(folder) / 'network.onnx'
        torch.onnx.export(
            _Logits(network.eval(), classifiers),
            (example,),
            path,
            input_names=['images'],
            output_names=[f'logits_{number}' for number in range(len(classifiers))],
            dynamic_shapes={'images': {0: torch.export.Dim('batch'), 2: height, 3: width}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return onnx.load(path)


def _preparation(image: InputOptions, network: HierarchicalNetwork) -> dict[str, str]:
    deviation = np.array(image.standard_deviation)
    return {
        'long_side': f'{float(image.long_side)}',
        'minimum_long_side': f'{float(image.minimum_long_side)}',
        'factor': _numbers(1.0 / (255.0 * deviation)),
        'offset': _numbers(-np.array(image.mean) / deviation),
        'multiple': f'{network.size_multiple}',
        'stride': f'{float(network.stride)}',
    }


def _decision(
    choices: Sequence[Choice], hierarchy: Hierarchy, options: DecisionOptions
) -> dict[str, str]:
    steps = []
    for number, choice in enumerate(choices):
        # The last entry, "unlabelled", and what may not be reported lead back to the parent.
        nodes = [
            node if may else choice.parent_id
            for node, may in zip(choice.node_ids, choice.reported, strict=True)
        ]
        kept = slice(None, -1) if options.void_decisions == 'replace' else slice(None)
        indices, nodes = choice.logit_indices[kept], nodes[kept]
        steps.append(
            _CLASSIFIER.format(
                n=number, count=len(indices), indices=_numbers(indices), nodes=_numbers(nodes)
            )
        )
        if choice.parent_id == UNLABELLED:
            steps.append(_ROOT)
        else:
            steps.append(_BELOW.format(n=number, before=number - 1, parent=choice.parent_id))
    tables = {
        f'level_{level}': hierarchy.level_of_id[level - 1]
        for level in range(1, hierarchy.depth + 1)
    }
    tables['traffic_signs'] = hierarchy.traffic_sign_of_id
    tables['categories'] = hierarchy.category_of_id
    last = len(choices) - 1
    steps += [_MAP.format(name=k, table=_numbers(v), last=last) for k, v in tables.items()]
    return {
        'inputs': ', '.join(f'float[N, C{n}, ROWS, COLUMNS] logits_{n}' for n in range(last + 1)),
        'outputs': ', '.join(f'uint8[N, H, W] {name}' for name in tables),
        'steps': '\n'.join(steps),
    }


def _numbers(values: Sequence[int] | np.ndarray) -> str:
    return ', '.join(str(value) for value in np.asarray(values).tolist())
