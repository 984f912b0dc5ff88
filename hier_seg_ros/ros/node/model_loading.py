# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the parameters to a model that is loaded and warm."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import DecisionOptions, Segmenter
from hier_seg_ros.settings import Settings

# Height and width to warm up with where no camera has sent a frame yet. A new size costs a CPU half
# a frame, but CUDA, which chooses algorithms for it and loads their kernels, many frames.
USUAL_SHAPES = ((480, 640),)
USUAL_SHAPES_CUDA = ((480, 640), (720, 1280))


def decision_options(settings: Settings) -> DecisionOptions:
    """Return the part of the settings that says what may be decided."""
    return DecisionOptions(
        void_decisions=settings.void_decisions,
        min_confidence=settings.min_confidence,
        allowed_classes=settings.allowed_classes,
        forbidden_classes=settings.forbidden_classes,
    )


def load_model(
    settings: Settings, closing: Future[None], shapes: Iterable[tuple[int, int]] = ()
) -> Segmenter:
    """Load the model that the settings name, check the options against it and warm it up.

    Parameters
    ----------
    settings
        Which model, on which device, with which options.
    closing
        Done once the process is to end: the model is not waited for any longer then.
    shapes
        Height and width of the frames that will come; where there are none, usual ones.

    Raises
    ------
    HierSegError
        The model cannot be read, does not run, or has no such class; or the process is to end.

    """
    # On a thread that ends: what PyTorch keeps for a thread (OpenMP's threads; cuDNN's and
    # cuBLAS's handles, which the next new thread takes over) shall not stay with the caller's.
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='model_loading')
    loading = thread.submit(_load, settings, tuple(shapes))
    thread.shutdown(wait=False)
    either: tuple[Future[Any], ...] = (loading, closing)
    wait(either, return_when=FIRST_COMPLETED)
    if not loading.done():
        raise HierSegError(f'model {settings.model}: not loaded, because the node is shutting down')
    return loading.result()


def _load(settings: Settings, shapes: tuple[tuple[int, int], ...]) -> Segmenter:
    try:
        segmenter = Segmenter.load(
            find_model(settings.model),
            device=settings.device,
            decision_options=decision_options(settings),
            input_long_side=settings.input_long_side or None,
            engine=settings.engine,
            precision=settings.precision,
            threads=settings.threads,
        )
        if not shapes:
            shapes = USUAL_SHAPES_CUDA if segmenter.device.type == 'cuda' else USUAL_SHAPES
        warm_up(segmenter, shapes)
    except HierSegError:
        raise
    # Whatever a folder holds, and however torch and timm fail on it, the earlier model must go on.
    except Exception as error:
        reason = ' '.join(str(error).split())[:300]
        raise HierSegError(
            f'model {settings.model} does not run on {settings.device}: {type(error).__name__}'
            f'{": " if reason else ""}{reason}; choose another device or model'
        ) from error
    return segmenter


def release_cached_memory() -> None:
    """Give back memory and threads of models that nobody refers to any more."""
    # What had the model refers to itself through its callbacks.
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def warm_up(segmenter: Segmenter, shapes: Iterable[tuple[int, int]]) -> None:
    """Run the whole network, every classifier of it, on images of these heights and widths."""
    random = np.random.default_rng(0)
    for height, width in shapes:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        # The decision alone would leave out the classifiers whose parent is decided nowhere.
        logits = segmenter.logits(image)
        for choice in segmenter.decision_rule.choices:
            logits[choice.name]
        # A GPU runs what comes for the second time in another way, with or without confidence.
        runs = (True, True, False, False) if segmenter.device.type == 'cuda' else (True,)
        for confidence in runs:
            segmenter.segment([image], confidence=confidence)
