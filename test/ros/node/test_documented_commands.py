# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `ros2` commands of all pages, run against a node whose camera sends images."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from lifecycle_msgs.msg import State, Transition
from ros_client import DEADLINE, REPOSITORY, Client, Command, Lifecycle, image, street
from sensor_msgs.msg import Image

CAMERA = '/camera/image_raw'
VERBS = 'topic|service|param|lifecycle|node'
# In fenced blocks and within a line; up to a comment or what else a shell would do.
COMMAND = re.compile(rf'ros2 (?:{VERBS}) [a-z]+[^`\n|]*')
# They go on until they are stopped.
ENDLESS = {('topic', 'hz'), ('topic', 'echo')}
UP = {
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
}
DOWN = {
    State.PRIMARY_STATE_ACTIVE: Transition.TRANSITION_DEACTIVATE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_CLEANUP,
}
# The state that each transition begins in.
BEFORE = {
    'configure': State.PRIMARY_STATE_UNCONFIGURED,
    'activate': State.PRIMARY_STATE_INACTIVE,
    'deactivate': State.PRIMARY_STATE_ACTIVE,
    'cleanup': State.PRIMARY_STATE_INACTIVE,
}


def documented() -> list[str]:
    """Return the commands that can be run as they stand: about the one node or its camera."""
    found: dict[str, None] = {}
    for page in (*REPOSITORY.glob('*.md'), *(REPOSITORY / 'docs').glob('*.md')):
        for text in COMMAND.findall(page.read_text(encoding='utf-8')):
            words = shlex.split(text, comments=True)
            # NAME stands for the reader's own; other nodes and topics are not here.
            names = {word for word in words if word.startswith('/')}
            ours = all(re.match(rf'/(segmenter|diagnostics)\b|{CAMERA}$', name) for name in names)
            several_cameras = any(
                re.search(r'/segmenter/(front|left|right)/', name) for name in names
            )
            if ours and names and not several_cameras and not {'NAME', '…'} & set(words):
                found[shlex.join(words)] = None
    return list(found)


COMMANDS = documented()


@pytest.fixture(scope='module')
def ros2() -> str:
    """Return the command line's program."""
    found = shutil.which('ros2')
    if found is None:
        pytest.skip('needs the ros2 command line')
    return found


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE, check=False)


@pytest.fixture(scope='module')
def node(own_ros_domain, ros2, varied_model, tmp_path_factory):
    captures = tmp_path_factory.mktemp('captures')
    parameters = {'model': varied_model, 'device': 'cpu', 'capture_directory': captures}
    command = Command(
        'segmenter_node',
        '--ros-args',
        *(word for pair in parameters.items() for word in ('-p', f'{pair[0]}:={pair[1]}')),
        *('-r', f'image:={CAMERA}'),
    )
    command.wait_for_output('is ready')
    client = Client()
    camera = client.publisher(CAMERA, Image)
    timer = client.node.create_timer(0.1, lambda: camera.publish(image(street())))
    # The command line's daemon takes its time to find the node.
    client.wait_for(lambda: '/segmenter/overlay\n' in run(ros2, 'topic', 'list').stdout, 'the node')
    yield Lifecycle(client, '/segmenter')
    run(ros2, 'daemon', 'stop')
    client.node.destroy_timer(timer)
    client.close()
    command.kill()
    print(command.output)


def bring(lifecycle: Lifecycle, state: int) -> None:
    """Bring the node into a state from any other; their numbers rise from configure on."""
    while (now := lifecycle.state()) != state:
        if now < state:
            lifecycle.change(UP[now])
        else:
            lifecycle.change(DOWN[now])


def test_the_pages_have_commands():
    verbs = {tuple(command.split()[1:3]) for command in COMMANDS}
    assert {('lifecycle', 'set'), ('service', 'call'), ('topic', 'echo'), ('topic', 'hz')} <= verbs


def run_until(words: list[str], done: Callable[[str], bool]) -> str:
    """Run a command until its output is `done`, then stop it; return the output."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    limit = threading.Timer(DEADLINE, process.kill)
    limit.start()
    output = ''
    try:
        for line in process.stdout:
            output += line
            if done(output):
                break
    finally:
        limit.cancel()
        process.send_signal(signal.SIGINT)
        process.communicate()
    return output


@pytest.mark.parametrize('command', COMMANDS)
def test_the_command_does_what_it_is_there_for(command, node, ros2):
    words = command.split(maxsplit=3)
    _, noun, verb = words[:3]
    if 'label_info' in command:
        pytest.importorskip('vision_msgs', reason='needs vision_msgs')
    transition = words[3].split()[-1] if (noun, verb) == ('lifecycle', 'set') else ''
    bring(node, BEFORE.get(transition, State.PRIMARY_STATE_ACTIVE))
    line = [ros2, *shlex.split(command)[1:]]
    if (noun, verb) in ENDLESS and '--once' not in line:
        output = run_until(line, lambda text: 'average rate' in text or '---' in text)
        assert 'average rate' in output or '---' in output, output
        return
    result = run(*line)
    output = result.stdout + result.stderr
    assert result.returncode == 0 and result.stdout, output
    assert not re.search('success=False|[Ff]ailed|not available', output), output
