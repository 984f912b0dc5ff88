# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: declared once, as data, and checked before any of them takes effect.

Imports neither ROS nor torch. A new parameter is one field of `Settings`, a line in
``config/segmenter.yaml`` and a row in ``docs/node.md``; what reads it takes it from the settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from hier_seg_ros.errors import HierSegError

Value = bool | int | float | str | tuple[str, ...] | tuple[int, ...]

# Label images have 8 bits, and 255 is what is in no group.
MOST_GROUPS = 255

# A camera's name becomes a part of topic names.
_CAMERA_NAME = re.compile(r'[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*')


@dataclass(frozen=True)
class ParameterSpecification:
    """One parameter.

    Attributes
    ----------
    name
        Its name.
    default
        Its default; an empty tuple declares an array of `entries`.
    description
        The text of its descriptor.
    minimum
        Smallest value of a number; None for what is no number.
    maximum
        Largest value of a number.
    choices
        The values of a string or a number that are allowed; all where empty.
    changeable
        'always'; 'unconfigured' for what is used while the node configures; 'never' for what is
        used when the process starts.
    may_be_empty
        Whether a text of no characters is allowed.
    entries
        What an array holds: str or int.
    of_each_camera
        Whether each camera may have a value of its own, in a parameter such as ``front.roi``.

    """

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str | float, ...] = ()
    changeable: Literal['always', 'unconfigured', 'never'] = 'always'
    may_be_empty: bool = True
    entries: type[str] | type[int] = str
    of_each_camera: bool = False


def _parameter(default: Any, description: str, **rules: Any) -> Any:
    """Return a field of `Settings`; `rules` are those of `ParameterSpecification`."""
    return field(default=default, metadata={'description': description, **rules})


@dataclass(frozen=True)
class Settings:
    """The values of all parameters at one moment.

    Attributes
    ----------
    of_cameras
        Values of single cameras by the parameter's name, such as ``front.roi``; the other fields
        are the parameters.

    """

    model: str = _parameter(
        'street_lite0',
        'Model folder: the name of an installed model or a path',
        may_be_empty=False,
    )
    device: str = _parameter(
        'auto',
        'Where the network runs: auto (CUDA if there is any), cpu, cuda or cuda:N',
        may_be_empty=False,
    )
    engine: str = _parameter(
        'auto',
        'What runs the network: auto (the fastest that is installed and agrees with torch), torch, '
        'openvino or onnxruntime',
        choices=('auto', 'torch', 'openvino', 'onnxruntime'),
    )
    precision: str = _parameter(
        'auto',
        'What the engine computes in: auto (the fastest with which it agrees with torch in '
        'float32), float32, bfloat16 or float16',
        choices=('auto', 'float32', 'bfloat16', 'float16'),
    )
    threads: int = _parameter(
        0,
        'Processors that network and decision may use; 0 is as many as PyTorch takes',
        minimum=0,
        maximum=1024,
    )
    input_long_side: int = _parameter(
        0,
        "Longer images are scaled down to this many pixels for the network; 0 is the model's own",
        minimum=0,
        maximum=16384,
    )
    cameras: tuple[str, ...] = _parameter(
        (),
        'Names of several cameras: front subscribes to front/image, publishes ~/front/overlay; '
        'empty for one camera without a name',
        changeable='unconfigured',
    )
    image_transport: str = _parameter(
        'raw',
        'raw subscribes to image (sensor_msgs/Image), compressed to image/compressed (JPEG, PNG)',
        choices=('raw', 'compressed'),
        changeable='unconfigured',
    )
    image_reliability: str = _parameter(
        'auto',
        'QoS of the subscriptions of image and camera_info: auto is reliable where every publisher '
        'is, else best effort; qos_overrides go before it',
        choices=('auto', 'reliable', 'best_effort'),
    )
    autostart: bool = _parameter(
        True,
        'Configure and activate without being asked; false leaves both to a lifecycle manager',
        changeable='never',
    )
    bond_heartbeat_period: float = _parameter(
        0.1,
        'Seconds between the heartbeats of the bond by which a lifecycle manager notices a node '
        'that hangs, from the next activation on; 0 is no bond. Without autostart only',
        minimum=0.0,
        maximum=2.0,
    )
    overlay_alpha: float = _parameter(
        0.5,
        "Share of the labels' colours in the overlay: 0 is the photograph, 1 the colours",
        minimum=0.0,
        maximum=1.0,
    )
    overlay_sign_names: bool = _parameter(
        True,
        'Write the names of traffic signs on the overlay',
    )
    output_scale: float = _parameter(
        1.0,
        'Size of all output images as a share of the input: 1.0, 0.5, 0.25 or 0.125; CameraInfo '
        'follows',
        choices=(1.0, 0.5, 0.25, 0.125),
    )
    jpeg_quality: int = _parameter(
        90,
        'Quality of overlay and colours as JPEG, on their topics that end in /compressed',
        minimum=1,
        maximum=100,
    )
    class_groups: tuple[str, ...] = _parameter(
        (),
        'Groups of classes on ~/groups/labels, each written "NAME: CLASS, CLASS": their values '
        'are their places in this list, from 0; a class has all classes below it; empty for no '
        'such topic',
    )
    void_decisions: str = _parameter(
        'keep',
        'What a pixel decided as unlabelled becomes: keep leaves it, replace takes the runner-up',
        choices=('keep', 'replace'),
    )
    min_confidence: float = _parameter(
        0.0,
        'A decision with less confidence stops at the parent class (at level 1: unlabelled)',
        minimum=0.0,
        maximum=1.0,
    )
    allowed_classes: tuple[str, ...] = _parameter(
        (),
        'Names of the only classes that may be reported; empty allows all',
    )
    forbidden_classes: tuple[str, ...] = _parameter(
        (),
        'Names of classes that must never be reported',
    )
    min_sign_pixels: int = _parameter(
        50,
        'Signs of fewer pixels are left out of detections and annotations, and have no name on the '
        'overlay',
        minimum=1,
        maximum=2**31 - 1,
    )
    roi: tuple[int, ...] = _parameter(
        (),
        'The part of the image that is segmented: left column, top row, width, height in pixels; '
        'empty for all',
        entries=int,
        of_each_camera=True,
    )
    mask: str = _parameter(
        '',
        "PNG of the image's size that is not black where the camera sees its own car: nothing is "
        'decided there; empty for none',
        of_each_camera=True,
    )
    max_rate_hz: float = _parameter(
        0.0,
        'Most frames per second from each camera, on average; 0 takes all',
        minimum=0.0,
        maximum=1000.0,
    )
    max_class_share: float = _parameter(
        1.0,
        'A frame is flagged if one class covers more than this share of it; 1 flags none',
        minimum=0.0,
        maximum=1.0,
    )
    max_void_share: float = _parameter(
        1.0,
        'A frame is flagged if more than this share is unlabelled at level 1; 1 flags none',
        minimum=0.0,
        maximum=1.0,
    )
    capture_directory: str = _parameter(
        '~/hier_seg_captures',
        'Folder to which captures are written, each as a bag of its own',
        may_be_empty=False,
    )
    capture_frames: int = _parameter(
        10,
        'Frames of each camera that are kept in memory for captures; 0 keeps none',
        minimum=0,
        maximum=1000,
    )
    capture_flagged: bool = _parameter(
        False,
        'Write a capture when a frame is flagged, at most one per minute',
    )
    inference_timeout: float = _parameter(
        30.0,
        'Seconds after which the worker is replaced that does not get done with a frame: at least '
        'these, and 20 times the slowest frame; twice that for the first ten frames of a model',
        minimum=0.1,
        maximum=86400.0,
    )
    stall_warn_seconds: float = _parameter(
        2.0,
        'Seconds without a frame of a camera after which diagnostics say WARN',
        minimum=0.1,
        maximum=86400.0,
    )
    stall_error_seconds: float = _parameter(
        10.0,
        'Seconds without a frame of a camera after which diagnostics say ERROR',
        minimum=0.1,
        maximum=86400.0,
    )
    of_cameras: Mapping[str, Value] = field(default_factory=dict)

    def of_camera(self, camera: str, name: str) -> Value:
        """Return a camera's own value of a parameter, or the general one where that is empty."""
        return self.of_cameras.get(f'{camera}.{name}') or getattr(self, name)


PARAMETERS = tuple(
    ParameterSpecification(entry.name, getattr(Settings, entry.name), **entry.metadata)
    for entry in fields(Settings)
    if entry.metadata
)
PARAMETER_NAMED = {specification.name: specification for specification in PARAMETERS}

# What the model that is loaded depends on.
MODEL_PARAMETERS = ('model', 'device', 'engine', 'precision', 'threads', 'input_long_side')
# What the table of the outputs depends on.
_OUTPUT_PARAMETERS = ('class_groups', 'min_sign_pixels', 'overlay_sign_names')


def same_model(settings: Settings, other: Settings) -> bool:
    """Return whether both ask for the same model, loaded in the same way."""
    return all(getattr(settings, name) == getattr(other, name) for name in MODEL_PARAMETERS)


def same_outputs(settings: Settings, other: Settings) -> bool:
    """Return whether both ask for the same outputs, drawn in the same way."""
    return all(getattr(settings, name) == getattr(other, name) for name in _OUTPUT_PARAMETERS)


def same_regions(settings: Settings, other: Settings) -> bool:
    """Return whether both leave out the same part of each camera's images."""
    return all(
        getattr(settings, name) == getattr(other, name) for name in ('roi', 'mask', 'of_cameras')
    )


def camera_parameters(camera: str) -> tuple[ParameterSpecification, ...]:
    """Return the parameters that a camera has for itself, such as ``front.roi``."""
    return tuple(
        replace(
            specification,
            name=f'{camera}.{specification.name}',
            description=f'{specification.name} of the camera {camera}; empty for the general one',
        )
        for specification in PARAMETERS
        if specification.of_each_camera
    )


def find_parameter(name: str) -> ParameterSpecification | None:
    """Return the parameter of a name, be it a general one or that of a camera; None for none."""
    camera, dot, _ = name.partition('.')
    if not dot:
        return PARAMETER_NAMED.get(name)
    own = {specification.name: specification for specification in camera_parameters(camera)}
    return own.get(name)


def changed_settings(
    settings: Settings, changes: Mapping[str, Any], configured: bool = False
) -> Settings:
    """Return settings with some values changed, or refuse all of the changes.

    Parameters
    ----------
    settings
        The values until now; they are left as they are.
    changes
        New values by parameter name; names that `find_parameter` does not know are ignored.
    configured
        Whether the node has loaded a model.

    Raises
    ------
    HierSegError
        A value is not allowed, or cannot be changed now.

    """
    values: dict[str, Any] = dict(vars(settings))
    of_cameras = dict(settings.of_cameras)
    for name, value in changes.items():
        specification = find_parameter(name)
        if specification is None:
            continue
        value = _checked_value(specification, value)
        if name not in values:
            of_cameras[name] = value
            continue
        if value != values[name] and configured and specification.changeable == 'unconfigured':
            raise HierSegError(
                f'parameter {name}: cannot change while the node is configured; deactivate it and '
                f'clean it up first'
            )
        values[name] = value
    if values['stall_error_seconds'] < values['stall_warn_seconds']:
        raise HierSegError(
            f'parameter stall_error_seconds: {values["stall_error_seconds"]} is less than '
            f'stall_warn_seconds, {values["stall_warn_seconds"]}; change the other one first'
        )
    named_groups(values['class_groups'])
    return Settings(**{**values, 'of_cameras': of_cameras})


def named_groups(class_groups: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the classes of each group of the parameter `class_groups`, by the group's name.

    Parameters
    ----------
    class_groups
        Each as the parameter has it: a name, a colon, and classes with commas between them.

    Raises
    ------
    HierSegError
        A group is not written so, has the name of another one, or is one too many.

    """
    groups: dict[str, tuple[str, ...]] = {}
    for entry in class_groups:
        name, _, listed = (part.strip() for part in entry.partition(':'))
        classes = tuple(part.strip() for part in listed.split(','))
        if not name or not all(classes):
            raise HierSegError(
                f'parameter class_groups: {entry!r} is no group; write a name, a colon and '
                f"classes with commas between them: 'free: Road, Sidewalk'"
            )
        if name in groups:
            raise HierSegError(
                f'parameter class_groups: two groups have the name {name!r}; rename one'
            )
        groups[name] = classes
    if len(groups) > MOST_GROUPS:
        raise HierSegError(
            f'parameter class_groups: has {len(groups)} groups; a label image has room for '
            f'{MOST_GROUPS}: remove some'
        )
    return groups


def _checked_value(specification: ParameterSpecification, value: Any) -> Value:
    name = specification.name
    if specification.entries is int:
        return _checked_roi(name, value)
    if isinstance(specification.default, tuple):
        # [''] is how a launch file writes an empty list.
        value = tuple(entry for entry in (value or ()) if entry != '')
        if not all(isinstance(entry, str) for entry in value):
            raise HierSegError(f'parameter {name}: must be a list of names, not {list(value)}')
        if len(set(value)) != len(value):
            raise HierSegError(f'parameter {name}: names an entry twice: {", ".join(value)}')
        if name == 'cameras':
            for camera in value:
                if not _CAMERA_NAME.fullmatch(camera):
                    raise HierSegError(
                        f'parameter cameras: {camera!r} cannot be part of a topic name; use '
                        f'letters, digits and single underscores, a letter first'
                    )
        return value
    kind = type(specification.default)
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise HierSegError(f'parameter {name}: must be of type {kind.__name__}, not {value!r}')
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Written this way round, NaN is refused too.
        if specification.minimum is not None and not value >= specification.minimum:
            raise HierSegError(f'parameter {name}: must be at least {specification.minimum}')
        if specification.maximum is not None and not value <= specification.maximum:
            raise HierSegError(f'parameter {name}: must be at most {specification.maximum}')
    if specification.choices and value not in specification.choices:
        raise HierSegError(
            f'parameter {name}: must be one of {", ".join(map(str, specification.choices))}, '
            f'not {value!r}'
        )
    if not specification.may_be_empty and not value:
        raise HierSegError(f'parameter {name}: must not be empty')
    return value


def _checked_roi(name: str, value: Any) -> tuple[int, ...]:
    roi = tuple(value or ())
    if not all(isinstance(entry, int) and not isinstance(entry, bool) for entry in roi):
        raise HierSegError(f'parameter {name}: must be a list of whole numbers, not {list(roi)}')
    if not roi:
        return ()
    if len(roi) != 4 or min(roi) < 0 or min(roi[2:]) == 0:
        raise HierSegError(
            f'parameter {name}: must be left column, top row, width and height in pixels, the '
            f'latter two above 0, not {list(roi)}; an empty list takes the whole image'
        )
    return roi
