# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `segmenter`: images in, label images out."""

import functools
import json
import threading
import traceback
from collections.abc import Callable

import numpy as np
import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import String

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.camera import Camera, ImageMessage, LabelInfo, latched_qos
from hier_seg_ros.ros.parameters import (
    Settings,
    as_string_arrays,
    changed_settings,
    declare_parameters,
)
from hier_seg_ros.ros.worker import SegmentationWorker
from hier_seg_ros.segmenter import DecisionOptions, Segmenter

# Any size does: the first run of a network is slow whatever it is given.
WARM_UP_SHAPE = (480, 640, 3)

Transition = Callable[['SegmenterNode', LifecycleState], TransitionCallbackReturn]


def _log_unexpected(transition: Transition) -> Transition:
    """Log an exception that leaves a transition: rclpy turns it into ERROR and drops its text."""

    @functools.wraps(transition)
    def wrapper(node: 'SegmenterNode', state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception:
            node.get_logger().error(traceback.format_exc())
            raise

    return wrapper


class SegmenterNode(LifecycleNode):
    """Loads a model on configure, and segments on a thread of its own while it is active."""

    def __init__(self, on_death: Callable[[], None]) -> None:
        """Create the node, unconfigured.

        Args:
            on_death: called, from another thread, where a bug has ended the worker.

        Raises:
            HierSegError: a parameter's value is not allowed.

        """
        super().__init__('segmenter')
        self._on_death = on_death
        self._lock = threading.Lock()
        self._segmenter: Segmenter | None = None
        self._cameras: list[Camera] = []
        self._hierarchy_publisher: Publisher | None = None
        self._worker: SegmentationWorker | None = None
        self._settings = declare_parameters(self)
        # Humble has no such callback; there an empty list is written [''].
        if hasattr(self, 'add_pre_set_parameters_callback'):
            self.add_pre_set_parameters_callback(as_string_arrays)
        self.add_on_set_parameters_callback(self._change_parameters)

    @property
    def settings(self) -> Settings:
        """The values of the parameters."""
        return self._settings

    def _change_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {parameter.name: parameter.value for parameter in parameters}
        try:
            with self._lock:
                settings = changed_settings(self._settings, changes, self._segmenter is not None)
                if self._segmenter is not None:
                    self._segmenter.set_decision_options(_decision_options(settings))
                self._settings = settings
        except HierSegError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    @_log_unexpected
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, run it once and create the publishers."""
        settings = self._settings
        try:
            segmenter = Segmenter.load(
                find_model(settings.model),
                device=settings.device,
                decision_options=_decision_options(settings),
                input_long_side=settings.input_long_side or None,
            )
            segmenter.segment([np.zeros(WARM_UP_SHAPE, np.uint8)])
        except HierSegError as error:
            self.get_logger().error(f'cannot configure: {error}')
            return TransitionCallbackReturn.FAILURE
        # As in the worker: what fails inside torch is a RuntimeError, out of memory included.
        except RuntimeError as error:
            reason = ' '.join(str(error).split())
            self.get_logger().error(
                f'cannot configure: model {settings.model} does not run on {settings.device}: '
                f'{reason}; choose another device or model'
            )
            return TransitionCallbackReturn.FAILURE
        self._segmenter = segmenter
        self._hierarchy_publisher = self.create_publisher(
            String,
            '~/hierarchy',
            latched_qos(),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._cameras = [
            Camera(
                self,
                name,
                segmenter.hierarchy,
                segmenter.supervised,
                settings.image_transport,
                self._receive_frame,
            )
            for name in settings.cameras or ('',)
        ]
        if LabelInfo is None:
            self.get_logger().info(
                'vision_msgs is not installed: the label_info topics are left out'
            )
        self.get_logger().info(f'model {segmenter.name} is ready on {segmenter.device}')
        return TransitionCallbackReturn.SUCCESS

    @_log_unexpected
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe to the images."""
        assert self._segmenter is not None and self._hierarchy_publisher is not None
        self._hierarchy_publisher.publish(
            String(data=json.dumps(self._segmenter.hierarchy.as_dict()))
        )
        self._worker = SegmentationWorker(
            self._segmenter, self._cameras, self._lock, lambda: self._settings, self._on_death
        )
        for camera in self._cameras:
            camera.start(self._settings.min_confidence)
        return super().on_activate(state)

    @_log_unexpected
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker after the frame under way."""
        self._stop()
        return super().on_deactivate(state)

    @_log_unexpected
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and of all topics."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    @_log_unexpected
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, from any state."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    @_log_unexpected
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, so that the node can be configured again."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def _receive_frame(self, camera: Camera, message: ImageMessage) -> None:
        if self._worker is not None:
            self._worker.put(camera, message)

    def _stop(self) -> None:
        for camera in self._cameras:
            camera.stop()
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def close(self) -> None:
        """Stop and let go of the model and of all topics; calling it again does nothing."""
        self._stop()
        for camera in self._cameras:
            camera.close()
        self._cameras = []
        if self._hierarchy_publisher is not None:
            self.destroy_publisher(self._hierarchy_publisher)
            self._hierarchy_publisher = None
        with self._lock:
            on_cuda = self._segmenter is not None and self._segmenter.device.type == 'cuda'
            self._segmenter = None
        if on_cuda:
            torch.cuda.empty_cache()


def _decision_options(settings: Settings) -> DecisionOptions:
    return DecisionOptions(
        void_decisions=settings.void_decisions,
        min_confidence=settings.min_confidence,
        allowed_classes=settings.allowed_classes,
        forbidden_classes=settings.forbidden_classes,
    )
