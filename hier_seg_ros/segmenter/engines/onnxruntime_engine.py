# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as the engine, on the CPU or a GPU. Imported only where it is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from hier_seg_ros.segmenter.engines.conversion import INPUT, OUTPUTS
from hier_seg_ros.segmenter.engines.engine import EngineOutputs, EngineUnavailableError
from hier_seg_ros.segmenter.network import Features

# Best first; those that the installed package lacks are left out.
_GPU_PROVIDERS = ('TensorrtExecutionProvider', 'CUDAExecutionProvider')


class OnnxRuntimeEngine:
    """A graph of the network in a session; see `Engine`.

    Several threads may call it.
    """

    name = 'onnxruntime'

    def __init__(self, graph: bytes, device: torch.device, precision: str, threads: int) -> None:
        """Read a graph; parameters and errors as for `OpenVinoEngine`.

        On a GPU, float16 is TensorRT's.
        """
        self.precision = precision
        self._device = device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors; they are raised, too
        # Threads that wait in a loop would take PyTorch's time for the decision.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        providers = _providers(device, precision)
        self._session = onnxruntime.InferenceSession(graph, options, providers=providers)
        if device.type == 'cuda' and self._session.get_providers() == ['CPUExecutionProvider']:
            raise EngineUnavailableError(
                'engine onnxruntime: its CUDA provider does not load here; check that its version '
                'fits that of CUDA, or choose engine torch'
            )

    def run(self, inputs: Tensor) -> EngineOutputs:
        """Run the network; see `Engine`."""
        images = inputs.permute(0, 2, 3, 1).contiguous()
        if self._device.type == 'cpu':
            outputs = self._session.run(None, {INPUT: images.numpy()})
            root, *features = map(torch.from_numpy, outputs)
        else:
            root, *features = self._run_on_gpu(images)
        shared, *details = (feature.permute(0, 3, 1, 2) for feature in features)
        return EngineOutputs(Features(shared, details[0] if details else None), root)

    def _run_on_gpu(self, images: Tensor) -> list[Tensor]:
        index = images.device.index or 0
        binding = self._session.io_binding()
        binding.bind_input(INPUT, 'cuda', index, np.float32, tuple(images.shape), images.data_ptr())
        for name in OUTPUTS[: len(self._session.get_outputs())]:
            binding.bind_output(name, 'cuda', index)
        # It has a stream of its own, which must not begin before the images are there.
        torch.cuda.current_stream(images.device).synchronize()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return [
            torch.as_tensor(_GpuArray(value), device=images.device)
            for value in binding.get_outputs()
        ]


class _GpuArray:
    """The memory of an output on the GPU, for torch, which keeps this object."""

    def __init__(self, value: onnxruntime.OrtValue) -> None:
        self._value = value
        self.__cuda_array_interface__ = {
            'shape': tuple(value.shape()),
            'typestr': '<f4',
            'data': (value.data_ptr(), False),
            'version': 3,
        }


def _providers(device: torch.device, precision: str) -> list[Any]:
    """Return the execution providers to use, best first, with their options."""
    if device.type == 'cpu':
        if precision != 'float32':
            raise EngineUnavailableError(
                f'precision {precision}: ONNX Runtime computes in float32 only on the CPU; choose '
                f'float32, or engine openvino'
            )
        return ['CPUExecutionProvider']
    available = onnxruntime.get_available_providers()
    options: dict[str, dict[str, Any]] = {
        'TensorrtExecutionProvider': {'trt_fp16_enable': precision == 'float16'},
        # As for torch: TF32 would make GPUs differ from CPUs in more than rounding.
        'CUDAExecutionProvider': {'use_tf32': 0},
    }
    providers = [
        (name, {'device_id': device.index or 0, **options[name]})
        for name in _GPU_PROVIDERS
        if name in available
    ]
    if not providers:
        raise EngineUnavailableError(
            'engine onnxruntime: has no CUDA provider here; pip install onnxruntime-gpu, or choose '
            'engine torch'
        )
    if precision == 'bfloat16' or (precision == 'float16' and _GPU_PROVIDERS[0] not in available):
        raise EngineUnavailableError(
            f'precision {precision}: ONNX Runtime has no provider for it here; choose float32, or '
            f'engine torch'
        )
    return [*providers, 'CPUExecutionProvider']
