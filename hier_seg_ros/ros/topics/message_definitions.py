# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The definition of an installed message type, as recordings keep it."""

from __future__ import annotations

import importlib
import re
from typing import Any

# Python's classes name some types as IDL does.
IDL_NAMES = {'boolean': 'bool', 'octet': 'byte', 'float': 'float32', 'double': 'float64'}
SEQUENCE = re.compile(r'sequence<(.+?)(?:, (\d+))?>$')
ARRAY = re.compile(r'(.+)\[(\d+)\]$')
BOUNDED_STRING = re.compile(r'(w?string)<(\d+)>$')
SEPARATOR = '=' * 80


def message_class(type_name: str) -> Any:
    """Return the class for a type such as sensor_msgs/msg/Image; None where it is not installed."""
    package, _, name = type_name.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name, None)
    except ImportError:
        return None


def message_definition(type_name: str) -> str:
    """Return the definition of an installed type, and of the types within it.

    It is in the form of .msg files, one after the other, as MCAP's schemas have it, without
    comments, constants and default values, which say nothing about the bytes of a message. A char
    is an uint8, as for Python.
    """
    texts = {type_name: ''}
    waiting = [type_name]
    while waiting:
        name = waiting.pop()
        lines = []
        for field, idl_type in message_class(name).get_fields_and_field_types().items():
            text, inner = _field_type(idl_type)
            lines.append(f'{text} {field}\n')
            if '/' in inner and _full_name(inner) not in texts:
                texts[_full_name(inner)] = ''
                waiting.append(_full_name(inner))
        texts[name] = ''.join(lines)
    first = texts.pop(type_name)
    return first + ''.join(
        f'{SEPARATOR}\nMSG: {name.replace("/msg/", "/")}\n{text}' for name, text in texts.items()
    )


def _full_name(name: str) -> str:
    package, _, short = name.partition('/')
    return f'{package}/msg/{short}'


def _field_type(idl_type: str) -> tuple[str, str]:
    """Return a field's type as .msg files write it, and that of its elements."""
    if match := SEQUENCE.match(idl_type):
        text, inner = _field_type(match[1])
        return f'{text}[<={match[2]}]' if match[2] else f'{text}[]', inner
    if match := ARRAY.match(idl_type):
        text, inner = _field_type(match[1])
        return f'{text}[{match[2]}]', inner
    if match := BOUNDED_STRING.match(idl_type):
        return f'{match[1]}<={match[2]}', match[1]
    text = IDL_NAMES.get(idl_type, idl_type)
    return text, text
