# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO as the engine, on the CPU. Imported only where it is chosen."""

from __future__ import annotations

import re
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino._offline_transformations import apply_moc_transformations
from torch import Tensor

from hier_seg_ros.segmenter.engines.engine import EngineOutputs, EngineUnavailableError
from hier_seg_ros.segmenter.network import Features

# Sizes of images for which a compiled network is kept: more than the cameras of a node have.
_MOST_SIZES = 8
# In a reduced precision, these many convolutions from the input on stay in float32. They see the
# image, whose 8 bits are as many as a bfloat16 has, and an error there spreads to all that follows.
# street_lite0, bfloat16, 4 photographs of GTSDB, positions of the logits whose largest one changes:
# 0.25 to 0.97 % with none, 0.08 to 0.33 % with three, for 2 % more time; 0.08 to 0.33 % with four,
# for 6 %; 0.06 to 0.20 % with twelve, for 20 %.
_FLOAT32_CONVOLUTIONS = 3
_PRECISIONS = {'float32': 'FP32', 'bfloat16': 'BF16', 'float16': 'FP16'}
_TYPES = {'bfloat16': openvino.Type.bf16, 'float16': openvino.Type.f16}
_LAYER = re.compile(r'<layer id="\d+" name="[^"]*" type="(\w+)".*?</layer>', re.DOTALL)
# How the files of OpenVINO say that a layer's precision must not be reduced.
_PRECISE = '<attribute name="precise" version="0" />'


class OpenVinoEngine:
    """A graph of the network, compiled for each size of images; see `Engine`.

    Several threads may call it.
    """

    name = 'openvino'

    def __init__(self, graph: bytes, device: torch.device, precision: str, threads: int) -> None:
        """Read a graph.

        Parameters
        ----------
        graph
            See `conversion.network_graph`.
        device
            The segmenter's.
        precision
            'float32', 'bfloat16' or 'float16'.
        threads
            How many processors it may use.

        Raises
        ------
        EngineUnavailableError
            The device is no CPU, or not one that computes in that precision.

        """
        if device.type != 'cpu':
            raise EngineUnavailableError(
                'engine openvino: runs on the CPU only; choose engine torch, or device cpu'
            )
        self.precision = precision
        self._core = openvino.Core()
        capabilities = self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        if _PRECISIONS[precision] not in capabilities:
            raise EngineUnavailableError(
                f'precision {precision}: OpenVINO cannot compute in it on this processor; choose '
                f'float32'
            )
        self._options = {
            'INFERENCE_PRECISION_HINT': {'float32': 'f32', 'bfloat16': 'bf16'}.get(
                precision, 'f16'
            ),
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': threads,
            # Whoever else runs on these processors shall not have to wait for this one's threads.
            'ENABLE_CPU_PINNING': False,
        }
        self._model = self._core.read_model(graph)
        if precision != 'float32':
            model = _with_precise_beginning(self._core, self._model)
            self._model = _with_reduced_features(model, _TYPES[precision])
        self._compiled: OrderedDict[tuple[int, ...], _Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, inputs: Tensor) -> EngineOutputs:
        """Run the network; see `Engine`."""
        images = inputs.permute(0, 2, 3, 1).contiguous()
        root, *features = self._for_size(tuple(images.shape)).run(images.numpy())
        shared, *details = (feature.permute(0, 3, 1, 2) for feature in features)
        return EngineOutputs(Features(shared, details[0] if details else None), root)

    def _for_size(self, shape: tuple[int, ...]) -> _Compiled:
        """Return the network for images of one size: 15 % faster than one for all sizes."""
        with self._lock:
            compiled = self._compiled.get(shape)
            if compiled is None:
                model = self._model.clone()
                model.reshape(list(shape))
                compiled = _Compiled(self._core.compile_model(model, 'CPU', self._options))
                self._compiled[shape] = compiled
            self._compiled.move_to_end(shape)
            if len(self._compiled) > _MOST_SIZES:
                self._compiled.popitem(last=False)
            return compiled


class _Compiled:
    """A compiled network, with its requests that nobody uses.

    A request owns the memory of its outputs, which is used anew once nobody refers to them: new
    memory for every frame would cost as much as a tenth of the network.
    """

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._compiled = compiled
        self._idle: list[openvino.InferRequest] = []

    def run(self, images: NDArray[np.float32]) -> list[Tensor]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.infer([images], share_inputs=True, share_outputs=True)
        loan = _Loan(request, self._idle)
        return [
            _lent_tensor(loan, request.get_output_tensor(place))
            for place in range(len(self._compiled.outputs))
        ]


class _Loan:
    """Gives a request back when the last of its arrays is gone."""

    def __init__(self, request: openvino.InferRequest, idle: list[openvino.InferRequest]) -> None:
        self._request = request
        self._idle = idle

    def __del__(self) -> None:
        self._idle.append(self._request)


class _LentArray:
    """The memory of an array, for NumPy, which keeps this object and so the loan."""

    def __init__(self, loan: _Loan, array: NDArray[Any]) -> None:
        self._loan = loan
        self.__array_interface__: dict[str, Any] = array.__array_interface__


def _lent_tensor(loan: _Loan, tensor: openvino.Tensor) -> Tensor:
    """Return an output without copying it."""
    array = tensor.data
    if tensor.element_type == openvino.Type.bf16:
        # NumPy has no such numbers.
        bits = torch.from_numpy(np.asarray(_LentArray(loan, array.view(np.int16))))
        return bits.view(torch.bfloat16)
    return torch.from_numpy(np.asarray(_LentArray(loan, array)))


def _with_reduced_features(model: openvino.Model, kind: openvino.Type) -> openvino.Model:
    """Return the network with all outputs but the root's logits as it has computed them.

    Most of them is never read: to write all of it in float32 would cost 1 ms in 40.
    """
    outputs = openvino.preprocess.PrePostProcessor(model)
    for place in range(1, len(model.outputs)):
        outputs.output(place).tensor().set_element_type(kind)
    return outputs.build()


def _with_precise_beginning(core: openvino.Core, model: openvino.Model) -> openvino.Model:
    """Return the network with its first convolutions marked to stay in float32."""
    # Merges the padding before a convolution with it, which would remove the mark.
    apply_moc_transformations(model, True)
    with tempfile.TemporaryDirectory() as folder:
        description, weights = Path(folder, 'network.xml'), Path(folder, 'network.bin')
        openvino.serialize(model, description, weights)
        text = _marked(description.read_text(encoding='utf-8'))
        return core.read_model(text.encode(), weights.read_bytes())


def _marked(description: str) -> str:
    """Return OpenVINO's description of a network with the first layers marked, in their order."""
    convolutions = 0

    def marked(layer: re.Match[str]) -> str:
        nonlocal convolutions
        if convolutions >= _FLOAT32_CONVOLUTIONS:
            return layer[0]
        convolutions += 'Convolution' in layer[1]
        if '<rt_info>' in layer[0]:
            return layer[0].replace('<rt_info>', f'<rt_info>{_PRECISE}', 1)
        return layer[0].replace('</layer>', f'<rt_info>{_PRECISE}</rt_info></layer>')

    return _LAYER.sub(marked, description)
