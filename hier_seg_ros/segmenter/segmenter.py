# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images in, label maps out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.cuda.deciding_engine import DecidingEngine
from hier_seg_ros.segmenter.cuda.torch_form import torch_engine_of
from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.engines.choice import choose_engine, instead, reason
from hier_seg_ros.segmenter.engines.engine import Engine, EngineOutputs
from hier_seg_ros.segmenter.engines.engine_options import EngineOptions
from hier_seg_ros.segmenter.engines.proof import Proof
from hier_seg_ros.segmenter.engines.torch_engine import TorchEngine
from hier_seg_ros.segmenter.engines.unused_gpu import unused_gpu
from hier_seg_ros.segmenter.interpolation import Grid, Part
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription, read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork, fold_batch_norm
from hier_seg_ros.segmenter.result import SegmentationResult

_log = logging.getLogger(__name__)


class Segmenter:
    """A model folder, ready to run.

    Attributes
    ----------
    hierarchy
        The label tree.
    device
        The ``torch.device`` on which the network runs.
    name
        The model's name.
    model_folder
        Where it was read from.
    supervised
        Names of the nodes that training supervised; no other node can be decided.
    description
        All that ``model.yaml`` says.
    input
        ``InputOptions``: how an image becomes the network's input, with the user's limit in it.
    engine
        What runs the network: its ``name`` and ``precision``, and ``run``.
    engine_problem
        One line that says why the engine that was asked for, or a faster one, does not run; ''
        where there is nothing to say.

    Examples
    --------
    >>> import numpy as np
    >>> from hier_seg_ros import Segmenter
    >>> segmenter = Segmenter.load('models/street_lite0', device='cpu')
    >>> (result,) = segmenter.segment([np.zeros((360, 480, 3), np.uint8)])
    >>> result.level(1).shape
    (360, 480)

    """

    def __init__(
        self,
        description: ModelDescription,
        hierarchy: Hierarchy,
        network: HierarchicalNetwork,
        *,
        model_folder: Path = Path(),
        device: str = 'auto',
        decision_options: DecisionOptions | None = None,
        input_long_side: int | None = None,
        engine_options: EngineOptions | None = None,
    ) -> None:
        """Prepare a network for inference; ``load`` reads one from a folder.

        Parameters
        ----------
        description
            What ``model.yaml`` says.
        hierarchy
            The tree that the network was trained with.
        network
            Its weights; it is taken over and changed for inference.
        model_folder
            Where it was read from, for messages.
        device
            ``'auto'`` (CUDA if there is any), ``'cpu'``, ``'cuda'`` or ``'cuda:N'``.
        decision_options
            What may be decided; ``None`` for the defaults.
        input_long_side
            As for ``load``.
        engine_options
            What runs the network; ``None`` for the plain form, PyTorch in float32.

        Raises
        ------
        HierSegError
            The device is not there, or an option is wrong.

        """
        if engine_options is not None:
            engine_options.check()
        self.description = description
        self.hierarchy = hierarchy
        self.name = description.name
        self.model_folder = model_folder
        self.supervised = frozenset(description.supervised)
        self.device = resolve_device(device)
        self.input = _input_options(description.input, input_long_side)
        self.set_decision_options(decision_options or DecisionOptions())
        fold_batch_norm(network.eval())
        network.divide_logits(description.temperatures)
        # The logits of classes that training never supervised cannot win: they are not computed.
        for choice in self._rule.choices:
            network.keep_logits(choice.name, choice.logit_indices)
        self._network = network.requires_grad_(False)
        self._network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean = torch.tensor(self.input.mean, device=self.device)
        deviation = torch.tensor(self.input.standard_deviation, device=self.device)
        self._scale = (1.0 / (255.0 * deviation)).reshape(1, 3, 1, 1)
        self._shift = (-mean / deviation).reshape(1, 3, 1, 1)
        self._threads = 0 if engine_options is None else engine_options.threads
        self._root = self._rule.choices[0].name
        self._plain = TorchEngine(network, self._root, self.device, 'float32')
        self.engine: Engine = self._plain
        self.engine_problem = ''
        if engine_options is not None:
            self._choose_engine(engine_options)

    @classmethod
    def load(
        cls,
        model_folder: str | Path,
        device: str = 'auto',
        decision_options: DecisionOptions | None = None,
        input_long_side: int | None = None,
        engine: str = 'auto',
        precision: str = 'auto',
        threads: int = 0,
    ) -> Segmenter:
        """Read and check a model folder and put it on a device.

        Parameters
        ----------
        model_folder
            Its path.
        device
            ``'auto'`` (CUDA if there is any), ``'cpu'``, ``'cuda'`` or ``'cuda:N'``.
        decision_options
            What may be decided; ``None`` for the defaults.
        input_long_side
            Pixels, at least 32. Images whose longer side exceeds it are scaled down to it before
            they enter the network, and images that the model scales up are not scaled up beyond
            it. ``None``: the model's own limit.
        engine
            What runs the network: ``'torch'``, ``'openvino'``, ``'onnxruntime'``, or ``'auto'``:
            the fastest that is installed. One that decides otherwise than PyTorch in float32 does,
            or fails, is not used; ``engine_problem`` and the log say so.
        precision
            ``'float32'``, ``'bfloat16'``, ``'float16'``, or ``'auto'``: the fastest that the engine
            and the processor offer.
        threads
            How many processors network and decision may use; 0 leaves it to PyTorch.

        Raises
        ------
        HierSegError
            The folder, the device, the engine or an option cannot be used; the message is one line.

        """
        engine_options = EngineOptions(engine, precision, threads)
        engine_options.check()
        description, hierarchy, network = read_model_folder(model_folder)
        return cls(
            description,
            hierarchy,
            network,
            model_folder=Path(model_folder),
            device=device,
            decision_options=decision_options,
            input_long_side=input_long_side,
            engine_options=engine_options,
        )

    @property
    def decision_options(self) -> DecisionOptions:
        """The options in force."""
        return self._rule.options

    @property
    def decision_rule(self) -> DecisionRule:
        """The rule by which ``segment`` decides from the logits."""
        return self._rule

    def set_decision_options(self, options: DecisionOptions) -> None:
        """Change what may be decided, from the next call of ``segment`` on.

        Parameters
        ----------
        options
            The new options.

        Raises
        ------
        HierSegError
            An option is wrong; nothing has changed.

        """
        self._rule = DecisionRule(self.hierarchy, self.supervised, options)

    def segment(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        confidence: bool = True,
        max_level: int | None = None,
    ) -> list[SegmentationResult]:
        """Segment images.

        On a GPU, images of the same size run as one batch.

        Parameters
        ----------
        images
            Arrays (H, W, 3) uint8, RGB; their sizes may differ.
        confidence
            Whether to compute the confidence; without it there is no softmax.
        max_level
            Classifiers of deeper levels are not computed; ``None``: all levels are.

        Returns
        -------
        list[SegmentationResult]
            One result for each image, in their order.

        Raises
        ------
        HierSegError
            An array is no such image.

        """
        for index, image in enumerate(images):
            _check_image(image, index)
        # Read once: set_decision_options may be called from another thread meanwhile.
        rule = self._rule
        max_level = self.hierarchy.depth if max_level is None else max_level
        results: dict[int, SegmentationResult] = {}
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            by_shape.setdefault(image.shape, []).append(index)
        with _inference(self._threads):
            for indices in by_shape.values():
                # A CPU gains nothing from a batch, and page faults of the larger tensors cost it a
                # third more time and memory.
                size = 1 if self.device.type == 'cpu' else len(indices)
                for start in range(0, len(indices), size):
                    places = indices[start : start + size]
                    batch = [images[index] for index in places]
                    decided = self._segment_batch(rule, batch, confidence, max_level)
                    results.update(zip(places, decided, strict=True))
        return [results[index] for index in range(len(images))]

    def _segment_batch(
        self,
        rule: DecisionRule,
        images: list[NDArray[np.uint8]],
        confidence: bool,
        max_level: int,
    ) -> list[SegmentationResult]:
        engine = self.engine
        if isinstance(engine, DecidingEngine):
            try:
                decided = engine.decide(
                    self._stack(images),
                    self._prepared,
                    rule,
                    confidence=confidence,
                    max_level=max_level,
                )
                return [SegmentationResult(self.hierarchy, *maps, max_level) for maps in decided]
            except torch.cuda.OutOfMemoryError:
                raise
            # As in `_run`.
            except Exception as error:  # noqa: BLE001
                self._run_plainly(engine, error)
        batch = self._logits(images, 1.0)
        results = []
        for index in range(len(images)):
            logits = batch.of_image(index)
            with _inference(self._threads_beside_engine()):
                ids, probability = rule.decide(logits, confidence=confidence, max_level=max_level)
            scaled = None
            if probability is not None:
                scaled = (probability * 255.0).round_().to(torch.uint8).cpu().numpy()
            finest = ids.cpu().numpy()
            # Asked last: the device has finished by then, and nothing waits for it once more.
            results.append(
                SegmentationResult(self.hierarchy, finest, scaled, logits.finite, max_level)
            )
        return results

    def logits(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> Logits:
        """Return the logits of an image, before any decision is made.

        Parameters
        ----------
        image
            (H, W, 3) uint8, RGB.
        scale
            Above 0: how many times as large as for ``segment`` the image enters the network.

        Raises
        ------
        HierSegError
            The array is no such image.

        """
        _check_image(image, 0)
        with _inference(self._threads):
            return self._logits([image], scale).of_image(0)

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width at which an image enters the network, before padding."""
        options = self.input
        return scaled_size(height, width, options.long_side, options.minimum_long_side)

    def _logits(self, images: list[NDArray[np.uint8]], scale: float) -> Logits:
        """Return the logits of a batch; a classifier's are (N, C, h, w)."""
        inputs, grid = self._prepare(images, scale)
        return self._lazy_logits(self._run(inputs), grid)

    def _lazy_logits(self, outputs: EngineOutputs, grid: Grid) -> Logits:
        """Return the logits of a batch that an engine has run on."""
        features, root = outputs

        def compute(classifier: str) -> Tensor:
            if classifier == self._root:
                return root
            with _inference(self._threads):
                return self._network.logits(features.float(), classifier)

        def compute_part(image: int, classifier: str, part: Part) -> Tensor:
            with _inference(self._threads_beside_engine()):
                return self._network.logits_within(features.of_image(image), classifier, part)

        return Logits(compute, grid, compute_part if self._network.works_in_parts else None)

    def _threads_beside_engine(self) -> int:
        """How many of PyTorch's threads to use for what is not the network.

        They wait for each other in a loop, and so take a processor from an engine with threads of
        its own, and from the node's thread that publishes. The pieces are small: on two idle cores
        one thread decides 704x512 pixels as fast as two do (15 ms; 32 with the confidence), and
        beside one busy thread in 30 ms instead of 49 (48 instead of 101).
        """
        has_own_threads = self.device.type == 'cpu' and self.engine.name != self._plain.name
        return 1 if has_own_threads else self._threads

    def _run(self, inputs: Tensor) -> EngineOutputs:
        """Run the engine; where it fails, the plain form takes over for good."""
        engine = self.engine
        try:
            return engine.run(inputs)
        # Who calls knows what to do about that.
        except (MemoryError, torch.cuda.OutOfMemoryError):
            raise
        # Whatever a library raises, and be it because of this one image: who segments goes on.
        except Exception as error:
            if engine is self._plain:
                raise
            self._run_plainly(engine, error)
        return self._plain.run(inputs)

    def _run_plainly(self, engine: Engine, error: Exception) -> None:
        """Let the plain form take over from an engine that has failed."""
        problem = f'engine {engine.name} in {engine.precision}: fails ({reason(error)})'
        self.engine = self._plain
        self.engine_problem = instead(problem, self._plain)
        _log.warning(self.engine_problem)

    def _choose_engine(self, options: EngineOptions) -> None:
        # A CPU takes the images of a batch one by one.
        proof = Proof(self._labels, self._plain, 1 if self.device.type == 'cpu' else 2)
        with_torch = options.engine in ('auto', 'torch')
        choice = choose_engine(
            options,
            self._network,
            self._root,
            self.device,
            self._plain,
            proof,
            torch_engine_of(self.device) if with_torch else TorchEngine,
        )
        self.engine, self.engine_problem = choice.engine, choice.problem
        if isinstance(choice.engine, DecidingEngine):
            # Nobody will come with images of the test image's size again.
            choice.engine.forget_sizes()

    def _labels(
        self, engine: Engine, images: Sequence[NDArray[np.uint8]]
    ) -> list[NDArray[np.uint8]]:
        """Return the node ids that an engine leads to, with the default options."""
        rule = DecisionRule(self.hierarchy, self.supervised, DecisionOptions())
        depth = self.hierarchy.depth
        with _inference(self._threads):
            if isinstance(engine, DecidingEngine):
                # What comes for the second time may run in another way, and that is what counts.
                for some in (images[::-1], images):
                    labelled = engine.decide(
                        self._stack(some), self._prepared, rule, confidence=False, max_level=depth
                    )
                return [ids for ids, _, _ in labelled]
            inputs, grid = self._prepare(list(images), 1.0)
            batch = self._lazy_logits(engine.run(inputs), grid)
            decided = [
                rule.decide(logits, confidence=False, max_level=depth)
                for logits in map(batch.of_image, range(len(images)))
            ]
        return [ids.cpu().numpy() for ids, _ in decided]

    def _stack(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Return images (H, W, 3) as one batch (N, H, W, 3), where the device can fetch it."""
        # From pinned memory a GPU fetches it while the host goes on.
        pinned = self.device.type == 'cuda'
        stacked = torch.empty((len(images), *images[0].shape), dtype=torch.uint8, pin_memory=pinned)
        _copy(images, stacked.numpy())
        return stacked

    def _prepare(self, images: list[NDArray[np.uint8]], scale: float) -> tuple[Tensor, Grid]:
        """Return the network's input (N, 3, h, w) and how the images lie on its logits."""
        with _inference(self._threads_beside_engine()):
            return self._prepared(self._stack(images).to(self.device, non_blocking=True), scale)

    def _prepared(self, images: Tensor, scale: float = 1.0) -> tuple[Tensor, Grid]:
        """Return the same for a batch (N, H, W, 3) uint8 that is on the device."""
        inputs = images.permute(0, 3, 1, 2).float()
        height, width = inputs.shape[-2:]
        scaled_height, scaled_width = self.network_size(height, width)
        if scale != 1.0:
            scaled_height = max(1, round(scaled_height * scale))
            scaled_width = max(1, round(scaled_width * scale))
        if (scaled_height, scaled_width) != (height, width):
            inputs = functional.interpolate(
                inputs,
                (scaled_height, scaled_width),
                mode='bilinear',
                align_corners=False,
                antialias=True,
            )
        inputs = inputs * self._scale + self._shift
        multiple = self._network.size_multiple
        padding = (0, -scaled_width % multiple, 0, -scaled_height % multiple)
        if any(padding):
            inputs = functional.pad(inputs, padding, mode='replicate')
        stride = self._network.stride
        grid = Grid(height, width, stride * height / scaled_height, stride * width / scaled_width)
        return inputs.contiguous(memory_format=torch.channels_last), grid


def _copy(images: Sequence[NDArray[np.uint8]], places: NDArray[np.uint8]) -> None:
    """Copy images (H, W, 3), which may be views of any kind, to `places` (N, H, W, 3)."""
    for place, image in zip(places, images, strict=True):
        if image.strides[1:] == (3, 1):
            place[...] = image
        else:
            # NumPy copies other orders of a pixel's bytes several times as fast colour by colour.
            for channel in range(3):
                place[..., channel] = image[..., channel]


def resolve_device(device: str) -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    device
        ``'auto'`` (CUDA if there is any), ``'cpu'``, ``'cuda'`` or ``'cuda:N'``.

    Raises
    ------
    HierSegError
        The name is none of these, or the device is not there.

    """
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    name, _, index = device.partition(':')
    if name not in ('cpu', 'cuda') or (index and (name == 'cpu' or not index.isdecimal())):
        raise HierSegError(f'device {device!r}: is none of auto, cpu, cuda, cuda:N')
    if name == 'cuda':
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            advice = unused_gpu(device) or 'use cpu or auto, or check the NVIDIA driver'
            raise HierSegError(
                f'device {device!r}: PyTorch sees {count} CUDA devices here; {advice}'
            )
    return torch.device(device)


def scaled_size(
    height: int, width: int, long_side: int, minimum_long_side: int = 0
) -> tuple[int, int]:
    """Return height and width, scaled with kept aspect ratio so that the longer is in a range.

    Parameters
    ----------
    height, width
        Of the image, in pixels.
    long_side
        The largest value of the longer side. It takes precedence, because a user may have set it
        lower than the model's `minimum_long_side`.
    minimum_long_side
        The smallest value of the longer side.

    """
    longer = max(height, width)
    wanted = min(max(longer, minimum_long_side), long_side)
    if wanted == longer:
        return height, width
    scale = wanted / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


@contextmanager
def _inference(threads: int) -> Iterator[None]:
    """Compute without gradients, without TF32, and on so many processors (0: as before).

    TF32 convolutions would make CUDA differ from the CPU in more than rounding.
    """
    before = torch.get_num_threads()
    if threads not in (0, before):
        torch.set_num_threads(threads)
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        if threads not in (0, before):
            torch.set_num_threads(before)


def _input_options(options: InputOptions, input_long_side: int | None) -> InputOptions:
    if input_long_side is None:
        return options
    if input_long_side < 32:
        raise HierSegError(
            f'input_long_side: {input_long_side} is too small; choose at least 32 pixels'
        )
    return replace(options, long_side=input_long_side)


def _check_image(image: NDArray[np.uint8], index: int) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, 'dtype', type(image).__name__)
        raise HierSegError(f'image {index}: is {kind}; give an uint8 NumPy array')
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise HierSegError(f'image {index}: has shape {image.shape}; give height x width x 3, RGB')
