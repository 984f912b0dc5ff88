# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build of the ROS 2 package, for colcon (ament_python) and for pip alike."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'hier_seg_ros'
VERSION = '0.1.0'


def share_files(*folders: str) -> list[tuple[str, list[str]]]:
    """List every file below `folders`, keyed by its place in share/hier_seg_ros."""
    files_of_folder: dict[Path, list[str]] = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts:
                files_of_folder.setdefault(path.parent, []).append(path.as_posix())
    return [
        (f'share/{NAME}/{folder.as_posix()}', files) for folder, files in files_of_folder.items()
    ]


setup(
    name=NAME,
    version=VERSION,
    description='Hierarchical semantic segmentation of street scenes for ROS 2',
    author='The hier_seg_ros authors',
    author_email='hier-seg-ros@example.org',
    maintainer='The hier_seg_ros authors',
    maintainer_email='hier-seg-ros@example.org',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={
        NAME: ['py.typed'],
        f'{NAME}.evaluation.report': ['templates/*'],
        f'{NAME}.evaluation.scores': ['scores.schema.json'],
        f'{NAME}.segmenter.engines': ['photograph.jpg'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        *share_files('config', 'demo/street', 'examples', 'launch', 'models'),
    ],
    zip_safe=False,
    install_requires=[
        'apsw',
        'Jinja2>=3.0',
        'lz4',
        'mcap>=1.1',
        'numpy>=1.26',
        'Pillow>=9.0',
        # Brings the library of the plots on the pages of evaluate_bag, which lack them without it.
        'plotly>=5.4',
        'PyYAML>=6.0',
        'rosbags>=0.11.7',
        'safetensors>=0.4',
        'scipy>=1.8',
        'timm>=1.0',
        'torch>=2.4',
        'tqdm>=4.60',
        'zstandard',
    ],
    extras_require={
        # ROS 2 Jazzy for machines without ROS: rclpy, Fast DDS and the messages as wheels.
        'ros': [
            'ros-diagnostic-msgs==5.3.6',
            'ros-rclpy==7.1.6',
            'ros-rmw-fastrtps-cpp==8.4.3',
            'ros-sensor-msgs==5.3.6',
            'ros-std-srvs==5.3.6',
        ],
        # An extra, because pip would put it over another build of cv2, whose windows then fail.
        'opencv': ['opencv-python-headless>=4.6'],
        # Videos: recorded streams that evaluate_bag decodes, and the video that it writes.
        'video': ['av>=12'],
        # A cluster that evaluate_bag spreads its bags over.
        'dask': ['dask[distributed]>=2023.5'],
        # Engines. onnx is what PyTorch writes the network with. On a GPU, ONNX Runtime's package is
        # onnxruntime-gpu, which pip cannot choose by itself.
        'openvino': ['onnx>=1.16', 'openvino>=2024.4'],
        'onnxruntime': ['onnx>=1.16', 'onnxruntime>=1.18'],
        # An older timm lacks the tests' backbone. The scores of detections are compared with those
        # of pycocotools. playwright drives the system's Chromium through the HTML pages.
        'test': [
            'hypothesis>=6.100',
            'jsonschema>=4.0',
            'playwright>=1.40',
            'pycocotools>=2.0.7',
            'pytest>=7.4',
            'pytest-cov>=6.0',
            'timm>=1.0.8',
        ],
        # Coverage-guided fuzzing of the parsers, for development: test/fuzz/fuzz_parsers.py.
        'fuzz': ['atheris>=3.0'],
        # docs/mutation_tests.md. Pinned: each version has other mutants.
        'mutation': ['mutmut==3.8.1'],
        # Pinned: another version of a formatter or a type checker has other opinions.
        # griffelib reads the docstrings of docs/api.md; its newest versions want Python 3.11.
        'lint': ['griffelib>=2.0', 'mypy==2.4.1', 'ruff==0.17.6', 'types-PyYAML', 'types-tqdm'],
    },
    entry_points={
        'console_scripts': [
            'benchmark = hier_seg_ros.commands.benchmark:main',
            'evaluate_bag = hier_seg_ros.evaluation.evaluate_bag:main',
            'replay_bag = hier_seg_ros.ros.replay.replay_bag:main',
            'segment_images = hier_seg_ros.commands.segment_images:main',
            'segmenter_node = hier_seg_ros.ros.node.segmenter_node:main',
        ],
    },
)
