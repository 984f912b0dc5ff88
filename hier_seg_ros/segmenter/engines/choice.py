# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine runs a model: the fastest that is there and proves itself."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from hier_seg_ros.files.signal_stack import make_room_for_signals
from hier_seg_ros.segmenter.engines.engine import Engine, EngineUnavailableError
from hier_seg_ros.segmenter.engines.engine_options import EngineOptions
from hier_seg_ros.segmenter.engines.graph_cache import cached_graph
from hier_seg_ros.segmenter.engines.proof import Proof
from hier_seg_ros.segmenter.engines.torch_engine import TorchEngine
from hier_seg_ros.segmenter.network import HierarchicalNetwork

# What /proc/cpuinfo says of a processor that multiplies bfloat16 by itself, on x86-64 and Arm.
_NATIVE_BFLOAT16 = re.compile(r'^(?:flags|Features)\s*:.*\b(?:avx512_bf16|amx_bf16|bf16)\b', re.M)
# The factors are those of the times at `_candidates`.
_ADVICE = (
    "engine %s: pip install 'hier_seg_ros[openvino]' makes the network about %d times as fast as "
    'PyTorch on this processor'
)
# (network, name of the root classifier, device, precision) -> the engine
BuildTorchEngine = Callable[[HierarchicalNetwork, str, torch.device, str], Engine]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineChoice:
    """An engine, and why it is not another one.

    Attributes
    ----------
    engine
        It has proved itself, or is the plain form.
    problem
        Why the wanted engine, or a faster one, does not run; '' where there is nothing to say.

    """

    engine: Engine
    problem: str = ''


def choose_engine(
    options: EngineOptions,
    network: HierarchicalNetwork,
    root: str,
    device: torch.device,
    plain: Engine,
    proof: Proof,
    torch_engine: BuildTorchEngine = TorchEngine,
) -> EngineChoice:
    """Return the first engine that is installed, runs and proves itself, else the plain form.

    What there is to say is logged.

    Parameters
    ----------
    options
        What the user wants.
    network
        The network, on its device.
    root
        The name of the root classifier.
    device
        The network's.
    plain
        Torch in float32.
    proof
        Compares an engine with it.
    torch_engine
        What builds the engine that is called torch.

    Raises
    ------
    EngineUnavailableError
        The engine that the user named is not installed, or cannot do what it is to do here.

    """
    make_room_for_signals()
    # With the engine's name each.
    problems: list[tuple[str, str]] = []
    unavailable: list[tuple[str, str]] = []
    engine = plain
    for name, precision in _candidates(options, device):
        if name == 'torch' and precision == 'float32' and torch_engine is TorchEngine:
            # That is the plain form.
            continue
        try:
            if name == 'torch':
                candidate: Engine = torch_engine(network, root, device, precision)
            else:
                candidate = _engine(name, precision, options.threads, network, root, device)
            fault = proof.problem(candidate)
        except EngineUnavailableError as error:
            if options.engine != 'auto':
                raise
            unavailable.append((name, str(error)))
            continue
        # Whatever a library makes of a network: the plain form runs, and the user is told.
        except Exception as error:  # noqa: BLE001
            fault = f'fails ({reason(error)})'
        if not fault:
            engine = candidate
            break
        problems.append((name, f'engine {name} in {precision}: {fault}'))
    if engine is plain and not problems and options.precision not in ('auto', 'float32'):
        problems += unavailable[-1:]
    problem = instead(problems[0][1], engine) if problems else ''
    # A GPU has a faster form of PyTorch, which must not be missed in silence.
    expected = engine is not plain or torch_engine is TorchEngine
    if problem and expected and options.precision == 'auto' and engine.name == problems[0][0]:
        # To have found out which precision is right is what "auto" is for.
        _log.info(problem)
        problem = ''
    if problem:
        _log.warning(problem)
    if 'openvino' in [name for name, _ in unavailable] and engine.name != 'openvino':
        _log.warning(_ADVICE, engine.name, 3 if _has_native_bfloat16() else 2)
    return EngineChoice(engine, problem)


def instead(problem: str, engine: Engine) -> str:
    """Return the line that says what runs because of a problem."""
    return f'{problem}; {engine.name} in {engine.precision} runs instead'


def reason(error: BaseException) -> str:
    """Return in one line what an exception of a library says."""
    text = ' '.join(str(error).split())[:200]
    return f'{type(error).__name__}: {text}' if text else type(error).__name__


def _candidates(options: EngineOptions, device: torch.device) -> list[tuple[str, str]]:
    """Return engines and precisions, best first."""
    # street_lite0's network, 704x512, two cores with AVX-512: PyTorch 139 to 155 ms, ONNX Runtime
    # 98, OpenVINO 74 to 82 in float32 and 40 to 48 in bfloat16.
    automatic = ['openvino', 'onnxruntime', 'torch'] if device.type == 'cpu' else ['torch']
    engines = automatic if options.engine == 'auto' else [options.engine]
    candidates = []
    for engine in engines:
        if options.precision != 'auto':
            precisions = [options.precision]
        elif engine == 'openvino' and _has_native_bfloat16():
            precisions = ['bfloat16', 'float32']
        elif engine == 'torch' and device.type == 'cuda':
            precisions = ['float16', 'float32']
        else:
            precisions = ['float32']
        candidates += [(engine, precision) for precision in precisions]
    return candidates


def _engine(
    name: str,
    precision: str,
    threads: int,
    network: HierarchicalNetwork,
    root: str,
    device: torch.device,
) -> Engine:
    kind: Callable[[bytes, torch.device, str, int], Engine]
    try:
        if name == 'openvino':
            with _without_telemetry():
                from hier_seg_ros.segmenter.engines.openvino_engine import OpenVinoEngine

            kind = OpenVinoEngine
        else:
            from hier_seg_ros.segmenter.engines.onnxruntime_engine import OnnxRuntimeEngine

            kind = OnnxRuntimeEngine
    except ImportError as error:
        raise EngineUnavailableError(
            f"engine {name}: is not installed ({error}); pip install 'hier_seg_ros[{name}]'"
        ) from error
    graph = cached_graph(network, root)
    return kind(graph, device, precision, threads or torch.get_num_threads())


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Let OpenVINO be imported as where its telemetry is not installed.

    Else it would tell a server of its makers that it has been imported.
    """
    name = 'openvino_telemetry'
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before


def _has_native_bfloat16() -> bool:
    try:
        return bool(_NATIVE_BFLOAT16.search(Path('/proc/cpuinfo').read_text(encoding='utf-8')))
    except (OSError, ValueError):
        return False
