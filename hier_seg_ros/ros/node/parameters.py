# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of `settings`, declared on a node."""

from __future__ import annotations

from collections.abc import Sequence

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.ros.topics.topics import parameter_overrides
from hier_seg_ros.settings import (
    PARAMETER_NAMED,
    PARAMETERS,
    ParameterSpecification,
    Settings,
    camera_parameters,
    changed_settings,
    find_parameter,
)

# Declared by rclpy in its later versions only, and so not wrong in a file for all of them.
_OF_RCLPY = ('use_sim_time', 'start_type_description_service')


def declare_parameters(node: Node) -> Settings:
    """Declare all parameters on a node and return what they are set to.

    Raises
    ------
    HierSegError
        A value from the command line or a parameter file is not allowed.

    """
    settings = _declared(node, Settings(), PARAMETERS)
    return declare_camera_parameters(node, settings)


def declare_camera_parameters(node: Node, settings: Settings) -> Settings:
    """Declare, as far as they are not, the parameters that each camera has for itself.

    Parameters
    ----------
    node
        The node.
    settings
        Its parameters, which name the cameras.

    Returns
    -------
    Settings
        The same with the values of the cameras' parameters.

    Raises
    ------
    HierSegError
        A value from the command line or a parameter file is not allowed.

    """
    return _declared(
        node,
        settings,
        [
            specification
            for camera in settings.cameras
            for specification in camera_parameters(camera)
            if not node.has_parameter(specification.name)
        ],
    )


def _declared(
    node: Node, settings: Settings, specifications: Sequence[ParameterSpecification]
) -> Settings:
    values = {}
    for specification in specifications:
        try:
            _declare(node, specification)
            # An empty list in the file, where a single value belongs, leaves it without one.
            values[specification.name] = node.get_parameter(specification.name).value
        except ParameterException as error:
            reason = ' '.join(str(error).split())
            raise HierSegError(
                f'parameter {specification.name}: {reason}; correct it in the parameter file or '
                f'on the command line'
            ) from error
    return changed_settings(settings, values)


def ignored_parameters(node: Node, settings: Settings) -> list[str]:
    """Return a line for each parameter that was given to a node at its start and is none of its.

    To be called when all are declared but those of QoS, which come with the topics.

    Parameters
    ----------
    node
        The node.
    settings
        Its parameters, which name the cameras.

    """
    of_cameras = [
        specification.name
        for camera in settings.cameras
        for specification in camera_parameters(camera)
    ]
    names = [*PARAMETER_NAMED, *of_cameras]
    return [
        f'parameter {name}: is ignored, since the node has none of that name; '
        + did_you_mean(name, names, 'ros2 param list tells those that it has')
        for name in sorted(parameter_overrides(node))
        if not node.has_parameter(name)
        and name not in _OF_RCLPY
        and not name.startswith('qos_overrides.')
    ]


def _declare(node: Node, specification: ParameterSpecification) -> None:
    descriptor = _descriptor(specification)
    if not isinstance(specification.default, tuple):
        node.declare_parameter(specification.name, specification.default, descriptor)
        return
    # rclpy takes an empty list for a list of bytes, so the type goes first and the value second.
    kind = _array_type(specification)
    node.declare_parameter(specification.name, kind, descriptor)
    if node.get_parameter_or(specification.name).type_ == Parameter.Type.NOT_SET:
        node.set_parameters([Parameter(specification.name, kind, list(specification.default))])


def _array_type(specification: ParameterSpecification) -> Parameter.Type:
    if specification.entries is int:
        return Parameter.Type.INTEGER_ARRAY
    return Parameter.Type.STRING_ARRAY


def _descriptor(specification: ParameterSpecification) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=specification.description,
        read_only=specification.changeable == 'never',
    )
    if specification.choices:
        descriptor.additional_constraints = f'one of: {", ".join(map(str, specification.choices))}'
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
        specification = find_parameter(parameter.name)
        if (
            specification is not None
            and isinstance(specification.default, tuple)
            and parameter.type_.name.endswith('_ARRAY')
            and len(parameter.value) == 0
        ):
            parameter = Parameter(parameter.name, _array_type(specification), [])
        elif (
            specification is not None
            and isinstance(specification.default, float)
            and parameter.type_ == Parameter.Type.INTEGER
        ):
            parameter = Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
        converted.append(parameter)
    return converted
