# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands that speak ROS do before anything else."""

from __future__ import annotations

import argparse

import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from hier_seg_ros.errors import HierSegError


def add_dds_profile_option(parser: argparse.ArgumentParser) -> None:
    """Add the option whose value is for `transport.use_dds_profile`."""
    parser.add_argument(
        '--dds-profile',
        default='auto',
        metavar='auto|none|FILE',
        help='Fast DDS profile: auto (default) takes one made for large images unless you have '
        'set your own, none changes nothing, FILE is the path of another',
    )


def parse_arguments(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parse what is not meant for ROS; the first argument is the program's name.

    Raises
    ------
    HierSegError
        The ROS arguments are wrong.

    """
    # rclpy says RuntimeError, of several kinds, where its arguments or a parameter file are wrong.
    try:
        own_arguments = remove_ros_args(arguments)[1:]
    except RuntimeError as error:
        raise _argument_error(error) from error
    return parser.parse_args(own_arguments)


def initialize(arguments: list[str]) -> None:
    """Initialize rclpy, leaving signals to `stop_request`.

    Raises
    ------
    HierSegError
        The ROS arguments are wrong.

    """
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        raise _argument_error(error) from error


def _argument_error(error: RuntimeError) -> HierSegError:
    return HierSegError(f'{" ".join(str(error).split())}; correct what follows --ros-args')
