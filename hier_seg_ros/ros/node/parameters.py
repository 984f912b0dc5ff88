# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: declared once, as data, and checked before any of them takes effect."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from hier_seg_ros.errors import HierSegError

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class ParameterSpecification:
    """One parameter.

    Attributes:
        name: its name.
        default: its default; an empty tuple declares a string array.
        description: the text of its descriptor.
        minimum: smallest value of a number; None for what is no number.
        maximum: largest value of a number.
        choices: the values of a string that are allowed; all where empty.
        changeable: 'always'; 'unconfigured' for what is used while the node configures; 'never'
            for what is used when the process starts.

    """

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    changeable: Literal['always', 'unconfigured', 'never'] = 'always'


PARAMETERS = (
    ParameterSpecification(
        'model',
        'street_lite0',
        'Model folder: the name of an installed model or a path',
    ),
    ParameterSpecification(
        'device',
        'auto',
        'Where the network runs: auto (CUDA if there is any), cpu, cuda or cuda:N',
    ),
    ParameterSpecification(
        'input_long_side',
        0,
        "Longer images are scaled down to this many pixels for the network; 0 is the model's own",
        minimum=0,
        maximum=16384,
    ),
    ParameterSpecification(
        'cameras',
        (),
        'Names of several cameras: front subscribes front/image and publishes ~/front/overlay; '
        'empty for one camera without a name',
        changeable='unconfigured',
    ),
    ParameterSpecification(
        'image_transport',
        'raw',
        'raw subscribes image (sensor_msgs/Image), compressed image/compressed (JPEG or PNG)',
        choices=('raw', 'compressed'),
        changeable='unconfigured',
    ),
    ParameterSpecification(
        'autostart',
        True,
        'Configure and activate without being asked; false leaves both to a lifecycle manager',
        changeable='never',
    ),
    ParameterSpecification(
        'overlay_alpha',
        0.5,
        "Share of the labels' colours in the overlay: 0 is the photograph, 1 the colours",
        minimum=0.0,
        maximum=1.0,
    ),
    ParameterSpecification(
        'void_decisions',
        'keep',
        'What a pixel decided as unlabelled becomes: keep leaves it, replace takes the runner-up',
        choices=('keep', 'replace'),
    ),
    ParameterSpecification(
        'min_confidence',
        0.0,
        'A decision with less confidence stops at the parent class (at level 1: unlabelled)',
        minimum=0.0,
        maximum=1.0,
    ),
    ParameterSpecification(
        'allowed_classes',
        (),
        'Names of the only classes that may be reported; empty allows all',
    ),
    ParameterSpecification(
        'forbidden_classes',
        (),
        'Names of classes that must never be reported',
    ),
    ParameterSpecification(
        'max_rate_hz',
        0.0,
        'Frames a second that are taken of each camera at most, on average; 0 takes all',
        minimum=0.0,
        maximum=1000.0,
    ),
    ParameterSpecification(
        'max_class_share',
        1.0,
        'A frame of which one class covers more than this share is flagged; 1 flags none',
        minimum=0.0,
        maximum=1.0,
    ),
    ParameterSpecification(
        'max_void_share',
        1.0,
        'A frame of which more than this share is unlabelled at level 1 is flagged; 1 flags none',
        minimum=0.0,
        maximum=1.0,
    ),
    ParameterSpecification(
        'capture_directory',
        '~/hier_seg_captures',
        'Folder that captures are written to, each a bag of its own',
    ),
    ParameterSpecification(
        'capture_frames',
        10,
        'Frames of each camera that are kept in memory for captures; 0 keeps none',
        minimum=0,
        maximum=1000,
    ),
    ParameterSpecification(
        'capture_flagged',
        False,
        'Write a capture by itself when a frame is flagged, at most one a minute',
    ),
    ParameterSpecification(
        'stall_warn_seconds',
        2.0,
        'Silence of a camera after which diagnostics say WARN',
        minimum=0.1,
        maximum=86400.0,
    ),
    ParameterSpecification(
        'stall_error_seconds',
        10.0,
        'Silence of a camera after which diagnostics say ERROR',
        minimum=0.1,
        maximum=86400.0,
    ),
)
_BY_NAME = {specification.name: specification for specification in PARAMETERS}

# What the model that is loaded depends on.
MODEL_PARAMETERS = ('model', 'device', 'input_long_side')

_NEVER_EMPTY = ('model', 'device', 'capture_directory')

# A camera's name becomes a part of topic names.
_CAMERA_NAME = re.compile(r'[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*')


@dataclass(frozen=True)
class Settings:
    """The values of all parameters at one moment; the fields are those of `PARAMETERS`."""

    model: str
    device: str
    input_long_side: int
    cameras: tuple[str, ...]
    image_transport: str
    autostart: bool
    overlay_alpha: float
    void_decisions: str
    min_confidence: float
    allowed_classes: tuple[str, ...]
    forbidden_classes: tuple[str, ...]
    max_rate_hz: float
    max_class_share: float
    max_void_share: float
    capture_directory: str
    capture_frames: int
    capture_flagged: bool
    stall_warn_seconds: float
    stall_error_seconds: float


def default_settings() -> Settings:
    """Return the settings with every parameter at its default."""
    values: dict[str, Any] = {
        specification.name: specification.default for specification in PARAMETERS
    }
    return Settings(**values)


def same_model(settings: Settings, other: Settings) -> bool:
    """Return whether both ask for the same model, loaded in the same way."""
    return all(getattr(settings, name) == getattr(other, name) for name in MODEL_PARAMETERS)


def changed_settings(
    settings: Settings, changes: Mapping[str, Any], configured: bool = False
) -> Settings:
    """Return settings with some values changed, or refuse all of the changes.

    Args:
        settings: the values until now; they are left as they are.
        changes: new values by parameter name; names that are not in `PARAMETERS` are passed over.
        configured: whether the node has loaded a model.

    Raises:
        HierSegError: a value is not allowed, or cannot be changed now.

    """
    values: dict[str, Any] = dict(vars(settings))
    for name, value in changes.items():
        specification = _BY_NAME.get(name)
        if specification is None:
            continue
        value = _checked_value(specification, value)
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
    return Settings(**values)


def _checked_value(specification: ParameterSpecification, value: Any) -> Value:
    name = specification.name
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
            f'parameter {name}: must be one of {", ".join(specification.choices)}, not {value!r}'
        )
    if name in _NEVER_EMPTY and not value:
        raise HierSegError(f'parameter {name}: must not be empty')
    return value


def declare_parameters(node: Node) -> Settings:
    """Declare all parameters on a node and return what they are set to.

    Raises:
        HierSegError: a value from the command line or a parameter file is not allowed.

    """
    for specification in PARAMETERS:
        try:
            _declare(node, specification)
        except ParameterException as error:
            reason = ' '.join(str(error).split())
            raise HierSegError(
                f'parameter {specification.name}: {reason}; correct it in the parameter file or '
                f'on the command line'
            ) from error
    names = [specification.name for specification in PARAMETERS]
    values = {parameter.name: parameter.value for parameter in node.get_parameters(names)}
    return changed_settings(default_settings(), values)


def _declare(node: Node, specification: ParameterSpecification) -> None:
    descriptor = _descriptor(specification)
    if not isinstance(specification.default, tuple):
        node.declare_parameter(specification.name, specification.default, descriptor)
        return
    # rclpy takes an empty list for a list of bytes, so the type goes first and the value second.
    node.declare_parameter(specification.name, Parameter.Type.STRING_ARRAY, descriptor)
    if node.get_parameter_or(specification.name).type_ == Parameter.Type.NOT_SET:
        node.set_parameters(
            [
                Parameter(
                    specification.name, Parameter.Type.STRING_ARRAY, list(specification.default)
                )
            ]
        )


def _descriptor(specification: ParameterSpecification) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=specification.description,
        read_only=specification.changeable == 'never',
    )
    if specification.choices:
        descriptor.additional_constraints = f'one of: {", ".join(specification.choices)}'
    elif specification.changeable == 'unconfigured':
        descriptor.additional_constraints = 'changeable while the node is unconfigured'
    if specification.minimum is not None and specification.maximum is not None:
        if isinstance(specification.default, int):
            descriptor.integer_range = [
                IntegerRange(
                    from_value=int(specification.minimum),
                    to_value=int(specification.maximum),
                    step=1,
                )
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(
                    from_value=specification.minimum, to_value=specification.maximum, step=0.0
                )
            ]
    return descriptor


def with_declared_types(parameters: list[Parameter]) -> list[Parameter]:
    """Give values that the command line sends as another type the type that was declared.

    It cannot tell what an empty list is a list of, nor that 1 is meant as 1.0; rclpy would refuse
    both.
    """
    converted = []
    for parameter in parameters:
        specification = _BY_NAME.get(parameter.name)
        if (
            specification is not None
            and isinstance(specification.default, tuple)
            and parameter.type_.name.endswith('_ARRAY')
            and len(parameter.value) == 0
        ):
            parameter = Parameter(parameter.name, Parameter.Type.STRING_ARRAY, [])
        elif (
            specification is not None
            and isinstance(specification.default, float)
            and parameter.type_ == Parameter.Type.INTEGER
        ):
            parameter = Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
        converted.append(parameter)
    return converted
