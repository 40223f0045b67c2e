"""The messages between the examiner and a student process: data, never objects.

A message is a dict of None, bool, int, float, str, bytes, list, tuple, dict with str keys, tensors,
and handles, which stand for objects of the student process. It is sent as a frame: two lengths, a
JSON header, and the raw bytes of tensors. Everything that a student process sends is decoded here,
and raises `ProtocolError` if it is not a message. Nothing is unpickled.
"""

import json
import math
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import torch
from torch import Tensor

Message: TypeAlias = dict[str, Any]
LENGTHS = struct.Struct("!IQ")  # bytes of the header, bytes of the buffers
DEPTH = 32
DIMENSIONS = 16
MIB = 2**20
# The longest header; a list of numbers takes some twenty times as much memory as its text.
HEADER_BYTES = 8 * MIB
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
        torch.bfloat16, torch.float16, torch.float32, torch.float64,
        torch.complex64, torch.complex128,
    )
}  # fmt: skip


class ProtocolError(Exception):
    """The received bytes are not a message, or not an answer to the question."""


@dataclass(frozen=True)
class Handle:
    """Stands for an object that stays in the student process.

    Args:
        number: the number of the object in the student process.
        kind: the name of its class, for sentences.
    """

    number: int
    kind: str


def refuse(value: object) -> NoReturn:
    """Raise the ValueError for a value that is not data."""
    raise ValueError(
        f"A {type(value).__name__} cannot be sent to a student process: send numbers, strings, "
        "lists, dicts or tensors."
    )


def encode(message: Message, refer: Callable[[object], object] = refuse) -> bytes:
    """Encode a message as a frame.

    Args:
        message: the message.
        refer: a function that returns what to send for a value that is not data, such as a handle.

    Raises:
        ValueError: the message is not data, is nested too deeply or contains itself.
    """
    buffers: list[bytes] = []
    header = json.dumps(_encoded(message, buffers, refer, 0)).encode()
    return b"".join((LENGTHS.pack(len(header), sum(map(len, buffers))), header, *buffers))


def _encoded(
    value: Any, buffers: list[bytes], refer: Callable[[object], object], depth: int
) -> Any:
    if depth > DEPTH:
        raise ValueError(f"A value nested more than {DEPTH} deep cannot be sent.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        buffers.append(bytes(value))
        return {"bytes": len(value)}
    if isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta:
        plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
        name = str(plain.dtype).removeprefix("torch.")
        if name in DTYPES:
            buffers.append(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
            return {"tensor": [name, list(plain.shape)]}
    if isinstance(value, list | tuple):
        inner = [_encoded(item, buffers, refer, depth + 1) for item in value]
        return {"list" if isinstance(value, list) else "tuple": inner}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {
            "dict": {
                str(key): _encoded(item, buffers, refer, depth + 1) for key, item in value.items()
            }
        }
    if isinstance(value, Handle):
        return {"handle": [value.number, value.kind]}
    return _encoded(refer(value), buffers, refer, depth + 1)


def decode(header: bytes, buffers: bytes) -> Message:
    """Decode the message in a frame.

    Raises:
        ProtocolError: the frame does not hold a message.
    """
    try:
        text = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The header is not JSON: {error}") from None
    reader = _Buffers(buffers)
    message = _decoded(text, reader, 0)
    if not isinstance(message, dict):
        raise ProtocolError("A message must be a dict.")
    if reader.at != len(buffers):
        raise ProtocolError("The frame has bytes that belong to no value.")
    return message


class _Buffers:
    """The raw bytes of a frame, which are taken in the order of the values."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def take(self, size: object) -> bytes:
        if type(size) is not int or not 0 <= size <= len(self.content) - self.at:
            raise ProtocolError("A value has more bytes than the frame.")
        self.at += size
        return self.content[self.at - size : self.at]


def _decoded(value: Any, buffers: _Buffers, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _text(value)
    if depth > DEPTH:
        raise ProtocolError(f"A value is nested more than {DEPTH} deep.")
    if not isinstance(value, dict) or len(value) != 1:
        raise ProtocolError("A value has no kind.")
    [(kind, content)] = value.items()
    match kind, content:
        case "list", list():
            return [_decoded(item, buffers, depth + 1) for item in content]
        case "tuple", list():
            return tuple(_decoded(item, buffers, depth + 1) for item in content)
        case "dict", dict():
            return {_text(key): _decoded(item, buffers, depth + 1) for key, item in content.items()}
        case "bytes", _:
            return buffers.take(content)
        case "tensor", [str(dtype), list(shape)]:
            return _tensor(dtype, shape, buffers)
        case "handle", [int(number), str(name)]:
            return Handle(number, _text(name[:100]))
    raise ProtocolError("A value is of an unknown kind.")


def _text(text: str) -> str:
    """Text that can be encoded: JSON may hold lone surrogates, which become question marks."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _tensor(name: str, shape: list[Any], buffers: _Buffers) -> Tensor:
    dtype = DTYPES.get(name)
    if dtype is None or len(shape) > DIMENSIONS:
        raise ProtocolError("A tensor has an unknown dtype or too many dimensions.")
    if any(type(size) is not int or not 0 <= size < 2**48 for size in shape):
        raise ProtocolError("A tensor has a size that is not a natural number.")
    count = math.prod(shape)
    content = buffers.take(count * dtype.itemsize)
    try:
        if not count:
            return torch.empty(shape, dtype=dtype)
        if dtype == torch.bool and content.strip(b"\0\1"):
            raise ProtocolError("A tensor of booleans holds something else.")
        return torch.frombuffer(bytearray(content), dtype=dtype).reshape(shape)
    except RuntimeError as error:
        raise ProtocolError(f"A tensor cannot be made: {error}") from None


def receive(channel: socket.socket, limit: int) -> Message:
    """Receive the next message.

    Args:
        channel: a stream socket.
        limit: the most bytes that a frame may have.

    Raises:
        ProtocolError: the next bytes are not a message, or the message is too long.
        EOFError: the other side has closed its end.
    """
    header, buffers = LENGTHS.unpack(_exactly(channel, LENGTHS.size))
    if header > min(limit, HEADER_BYTES) or header + buffers > limit:
        raise ProtocolError(f"A reply is longer than {limit / MIB:g} MiB.")
    return decode(_exactly(channel, header), _exactly(channel, buffers))


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(min(size, MIB))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
