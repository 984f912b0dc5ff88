# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `segmenter`: images in, label images out."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock as ClockMessage
from std_srvs.srv import SetBool, Trigger

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.watchdog import RestartLimit
from hier_seg_ros.ros.cameras.camera_outputs import LabelInfo
from hier_seg_ros.ros.cameras.sign_output import ImageAnnotations
from hier_seg_ros.ros.diagnostics.diagnostics import Diagnostics
from hier_seg_ros.ros.diagnostics.reports import NodeReport, PipelineReport
from hier_seg_ros.ros.node.library_log import LibraryLog
from hier_seg_ros.ros.node.manager_bond import Bond, ManagerBond
from hier_seg_ros.ros.node.model_loading import release_cached_memory
from hier_seg_ros.ros.node.parameters import (
    declare_camera_parameters,
    declare_parameters,
    ignored_parameters,
    with_declared_types,
)
from hier_seg_ros.ros.node.pipeline import Pipeline
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.segmenter.engines.unused_gpu import unused_gpu
from hier_seg_ros.settings import MODEL_PARAMETERS, Settings, changed_settings, same_model

# Threads that the executor needs so that neither a long call (another model, a capture) nor the
# diagnostics hold up the frames.
EXECUTOR_THREADS = 3

# Simulated time that goes on by more than this in one step has jumped.
LONGEST_CLOCK_STEP = Duration(seconds=10)

Transition = Callable[['SegmenterNode', LifecycleState], TransitionCallbackReturn]


def _transition(during: str, after: str) -> Callable[[Transition], Transition]:
    """Keep account of the lifecycle state, which rclpy does not tell, around a transition.

    An exception that leaves the transition is logged: rclpy turns it into ERROR and drops its
    text.
    """

    def decorate(transition: Transition) -> Transition:
        @functools.wraps(transition)
        def wrapper(node: SegmenterNode, state: LifecycleState) -> TransitionCallbackReturn:
            with node._control:
                node._state = during
                try:
                    result = transition(node, state)
                except Exception as error:
                    node._error = f'{during} failed: {error!r}'
                    node.get_logger().error(traceback.format_exc())
                    raise
                success = result == TransitionCallbackReturn.SUCCESS
                node._state = after if success else state.label
                return result

        return wrapper

    return decorate


class SegmenterNode(LifecycleNode):
    """Loads a model on configure, and segments on a thread of its own while it is active."""

    def __init__(self) -> None:
        """Create the node, unconfigured.

        Raises
        ------
        HierSegError
            A parameter's value is not allowed.

        """
        self._clock_group = MutuallyExclusiveCallbackGroup()
        super().__init__('segmenter')
        # Held by whatever changes the node: parameters and transitions come in one callback
        # group, services in another, `close` from another thread.
        self._control = threading.RLock()
        # Not an event: who waits for a model waits for this, too.
        self._closing: Future[None] = Future()
        self._state = 'unconfigured'
        self._error = ''
        self._warning = ''
        self._pipeline: Pipeline | None = None
        # Beyond one activation and one configuration, or a lifecycle manager would make a loop of
        # it.
        self._restarts = RestartLimit()
        self._library_log = LibraryLog(self.get_logger())
        self._bond = ManagerBond(self)
        self._settings = declare_parameters(self)
        self.get_logger().debug(f'parameters: {self._settings}')
        for line in ignored_parameters(self, self._settings):
            self.get_logger().warning(line)
        # Humble has no such callback; there an empty list is written [''], and 1.0 with its point.
        if hasattr(self, 'add_pre_set_parameters_callback'):
            self.add_pre_set_parameters_callback(with_declared_types)
        self.add_on_set_parameters_callback(self._change_parameters)
        for service in self.services:
            if service.srv_type is ChangeState:
                service.callback = self._refuse_wrong_transitions(service.callback)
        # As long as the node, because a call that waits for a transition wants its answer too.
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(SetBool, '~/enable', self._enable, callback_group=group)
        self.create_service(Trigger, '~/capture', self._capture, callback_group=group)
        self._connections = Connections(self)
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=LONGEST_CLOCK_STEP,
                min_backward=Duration(nanoseconds=-1),
                on_clock_change=True,
            ),
            post_callback=self._clock_jumped,
        )
        self._diagnostics = Diagnostics(
            self, MutuallyExclusiveCallbackGroup(), self._look_after_and_report
        )

    @property
    def settings(self) -> Settings:
        """The values of the parameters."""
        return self._settings

    def start_by_itself(self, abandoned: Callable[[], bool]) -> bool:
        """Configure and activate, unless somebody else has begun to.

        Parameters
        ----------
        abandoned
            Asked before each transition; True leaves the rest.

        Returns
        -------
        bool
            False where a transition failed; the log says why.

        """
        if self._state != 'unconfigured':
            return True
        for transition in (self.trigger_configure, self.trigger_activate):
            if abandoned():
                return True
            if transition() != TransitionCallbackReturn.SUCCESS:
                return False
        return True

    def create_subscription(self, msg_type: Any, *args: Any, **options: Any) -> Subscription:
        """Create a subscription; that of /clock gets a callback group of its own.

        rclpy would put it into the default group, and simulated time would stand still while
        another model is loaded.
        """
        if msg_type is ClockMessage:
            options['callback_group'] = self._clock_group
        return super().create_subscription(msg_type, *args, **options)

    def _refuse_wrong_transitions(self, change_state: Callable) -> Callable:
        """Let the service say no where rclpy raises an exception, which would end the node."""

        def callback(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            try:
                return change_state(request, response)
            except RuntimeError as error:  # what the lifecycle library's errors are
                transition = request.transition.label or request.transition.id
                # What follows is the place in rcl's sources.
                reason = ' '.join(str(error).partition(', at ')[0].split())
                self.get_logger().error(
                    f'transition {transition} refused in the state {self._state}: {reason}'
                )
                response.success = False
                return response

        return callback

    def _change_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {parameter.name: parameter.value for parameter in parameters}
        with self._control:
            before = self._settings
            try:
                settings = changed_settings(before, changes, self._pipeline is not None)
            except HierSegError as error:
                return SetParametersResult(successful=False, reason=str(error))
            reason = ''
            if self._pipeline is not None and settings != before:
                try:
                    self._pipeline.change(settings)
                except HierSegError as error:
                    reason = str(error)
            another_model = not same_model(settings, before)
            if another_model:
                # Only here, because an exception holds on to the tensors of what failed.
                release_cached_memory()
            if reason:
                self.get_logger().warning(f'refused: {reason}')
                if another_model:
                    self._warning = f'goes on with the model before: {reason}'
                return SetParametersResult(successful=False, reason=reason)
            # Setting the model that is in use says that all is well with it.
            if not changes.keys().isdisjoint(MODEL_PARAMETERS):
                self._warning = ''
            self._settings = settings
            return SetParametersResult(successful=True)

    @_transition('configuring', 'inactive')
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, run it once and create the publishers."""
        self._error = self._warning = ''
        try:
            # The cameras may be others than those when the node started.
            self._settings = declare_camera_parameters(self, self._settings)
            self._pipeline = Pipeline(
                self, self._connections, self._settings, self._closing, self._restarts
            )
        except HierSegError as error:
            self._error = f'cannot configure: {error}'
        if self._pipeline is None:
            release_cached_memory()
            if not self._closing.done():
                self.get_logger().error(self._error)
            return TransitionCallbackReturn.FAILURE
        if LabelInfo is None:
            self.get_logger().info(
                'vision_msgs is not installed: the label_info topics and '
                '~/traffic_signs/detections are left out',
                once=True,
            )
        if ImageAnnotations is None:
            self.get_logger().info(
                'foxglove_msgs is not installed: ~/traffic_signs/annotations is left out', once=True
            )
        if Bond is None and self._expects_a_bond:
            self.get_logger().info(
                'bondpy is not installed: no lifecycle manager can notice that this node hangs; '
                'set its bond_timeout to 0.0, or it takes the node for dead',
                once=True,
            )
        segmenter = self._pipeline.segmenter
        self.get_logger().info(
            f'model {segmenter.name} ({segmenter.model_folder}) is ready on {segmenter.device}'
        )
        if fault := unused_gpu(self._settings.device):
            self.get_logger().warning(f'device {segmenter.device}: {fault}', once=True)
        return TransitionCallbackReturn.SUCCESS

    @_transition('activating', 'active')
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe to the images."""
        self._error = ''
        try:
            self._configured_pipeline().start()
        except HierSegError as error:
            self._error = f'cannot activate: {error}'
            self.get_logger().error(self._error)
            return TransitionCallbackReturn.FAILURE
        if Bond is not None and self._expects_a_bond:
            self._bond.form(self._settings.bond_heartbeat_period)
        return TransitionCallbackReturn.SUCCESS

    @property
    def _expects_a_bond(self) -> bool:
        return not self._settings.autostart and self._settings.bond_heartbeat_period > 0.0

    @_transition('deactivating', 'inactive')
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker after the frame under way."""
        # First: a frame that hangs keeps the rest waiting.
        self._bond.end()
        self._configured_pipeline().stop()
        return TransitionCallbackReturn.SUCCESS

    @_transition('cleaningup', 'unconfigured')
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and of all topics."""
        self._close_pipeline()
        self._error = self._warning = ''
        return TransitionCallbackReturn.SUCCESS

    @_transition('shuttingdown', 'finalized')
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, from any state."""
        self._close_pipeline()
        return TransitionCallbackReturn.SUCCESS

    @_transition('errorprocessing', 'unconfigured')
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, so that the node can be configured again."""
        self._close_pipeline()
        return TransitionCallbackReturn.SUCCESS

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        with self._control:
            try:
                self._configured_pipeline().enable(request.data)
                response.success = True
                response.message = 'enabled' if request.data else 'disabled'
                self.get_logger().info(response.message)
            except HierSegError as error:
                response.message = str(error)
                self.get_logger().error(f'cannot enable: {error}')
        return response

    def _capture(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._control:
            try:
                response.message = str(self._configured_pipeline().capture())
                response.success = True
                self.get_logger().info(f'frames captured: {response.message}')
            except HierSegError as error:
                response.message = str(error)
                self.get_logger().error(f'cannot capture frames: {error}')
        return response

    def _configured_pipeline(self) -> Pipeline:
        if self._pipeline is None:
            raise HierSegError('the node is not configured; configure it first')
        return self._pipeline

    def _clock_jumped(self, jump: TimeJump) -> None:
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.forget_times()

    def _look_after_and_report(self) -> NodeReport:
        # Without a lock: neither may wait for a model that is being loaded.
        pipeline = self._pipeline
        if pipeline is not None and (failure := pipeline.look_after()):
            self._fail_safe(failure)
        settings = self._settings
        return NodeReport(
            state=self._state,
            error=self._error,
            warning=self._warning,
            stall_warn_seconds=settings.stall_warn_seconds,
            stall_error_seconds=settings.stall_error_seconds,
            pipeline=PipelineReport() if pipeline is None else pipeline.report(),
        )

    def _fail_safe(self, failure: str) -> None:
        """Deactivate, with an error in the diagnostics."""
        self._error = failure
        self.get_logger().error(failure)

        def deactivate() -> None:
            self.destroy_timer(timer)
            with self._control:
                if self._state == 'active':
                    self.trigger_deactivate()

        # In the group of the other transitions.
        timer = self.create_timer(0.0, deactivate, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _close_pipeline(self) -> None:
        self._bond.end()
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
        release_cached_memory()

    def abandon(self) -> None:
        """Let another model that is being loaded, a capture or a hanging frame come to nothing."""
        if not self._closing.done():
            self._closing.set_result(None)
            if self._pipeline is not None:
                self._pipeline.end_soon()

    def close(self) -> None:
        """Let go of everything, for good; a call under way is finished. Again, it does nothing."""
        self.abandon()
        with self._control:
            self._close_pipeline()
            self._diagnostics.close()
            self._jump_handle.unregister()
            self._library_log.close()
