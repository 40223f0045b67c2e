"""Messages hold data and nothing else."""

import json
import socket
import threading

import pytest
import torch

from autograder.sandbox.protocol import (
    DTYPES,
    LENGTHS,
    Handle,
    ProtocolError,
    decode,
    encode,
    receive,
)  # fmt: skip


def round_trip(message):
    frame = encode(message)
    size, _ = LENGTHS.unpack(frame[: LENGTHS.size])
    rest = frame[LENGTHS.size :]
    return decode(rest[:size], rest[size:])


def test_data_arrives_unchanged():
    message = {
        "all": [None, True, 3, -(2**70), 0.1, float("inf"), "é", b"\0x", (1, ("a",)), {"k": []}],
        "handle": Handle(3, "Linear"),
    }
    assert round_trip(message) == message
    assert type(round_trip(message)["all"][8]) is tuple


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1, 2, 3, 4)])
def test_tensors_arrive_unchanged(dtype, shape):
    tensor = (torch.randn(shape) * 9).to(dtype)
    back = round_trip({"t": tensor})["t"]
    assert back.dtype == dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)


def test_a_view_arrives_as_an_independent_tensor():
    matrix = torch.arange(6.0).reshape(2, 3).requires_grad_()
    back = round_trip({"t": matrix.T})["t"]
    assert torch.equal(back, matrix.T)
    assert not back.requires_grad


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, {1, 2}, lambda: 0, torch.nn.Linear(1, 1), torch.ones(2).to_sparse(),
     torch.empty(2, device="meta")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_objects_that_are_not_data_are_refused(value):
    with pytest.raises(ValueError, match="cannot be sent"):
        encode({"value": value})


def test_a_list_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested more than"):
        encode({"value": loop})


def nested(depth):
    return '{"list":[' * depth + "1" + "]}" * depth


@pytest.mark.parametrize(
    ("header", "buffers"),
    [
        ("", b""), ("nothing", b""), ("[]", b""), ("3", b""), ('{"list":[]}', b""), ("{}", b""),
        ('{"dict":{}, "list":[]}', b""), ('{"dict":[]}', b""), ('{"dict":{"a":[1]}}', b""),
        ('{"dict":{"a":{}}}', b""), ('{"dict":{"a":{"pickle":"x"}}}', b""),
        ('{"dict":{}}', b"x"), ('{"dict":{"a":{"bytes":2}}}', b"x"),
        ('{"dict":{"a":{"bytes":-1}}}', b"x"), ('{"dict":{"a":{"bytes":true}}}', b"x"),
        ('{"dict":{"a":{"bytes":"1"}}}', b"x"), ('{"dict":{"a":{"handle":["x",1]}}}', b""),
        ('{"dict":{"a":{"tensor":["float32",[2]]}}}', b"1234567"),
        ('{"dict":{"a":{"tensor":["float32",[2]]}}}', b"123456789"),
        ('{"dict":{"a":{"tensor":["float32",[-1]]}}}', b"1234"),
        ('{"dict":{"a":{"tensor":["float32",[1.0]]}}}', b"1234"),
        ('{"dict":{"a":{"tensor":["float32",[true]]}}}', b"1234"),
        ('{"dict":{"a":{"tensor":["qint8",[1]]}}}', b"1"),
        ('{"dict":{"a":{"tensor":["bool",[1]]}}}', b"\x07"),
        ('{"dict":{"a":{"tensor":["uint8",[' + "1," * 98 + "1]]}}}", b"1"),
        ('{"dict":{"a":{"tensor":["uint8",[0,99999999999999999999]]}}}', b""),
        ('{"dict":{"a":{"tensor":["uint8",[0,281474976710655,281474976710655]]}}}', b""),
        ('{"dict":{"a":{"tensor":["uint8"]}}}', b""), ("9" * 5000, b""),
        ('{"dict":{"a":' + nested(40) + "}}", b""), ("[" * 10**6, b""), (nested(10**5), b""),
        ('{"dict":{"a":"\\ud800"', b""), ("\udcff", b""),
    ],
)  # fmt: skip
def test_bytes_that_are_not_a_message_are_refused(header, buffers):
    with pytest.raises(ProtocolError):
        decode(header.encode(errors="surrogateescape"), buffers)


@pytest.fixture
def channel():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("lengths", [(2**32 - 1, 0), (0, 2**63), (10, 2**20), (2**20, 0)])
def test_a_frame_that_is_too_long_is_refused_before_it_is_read(channel, lengths):
    ours, theirs = channel
    theirs.sendall(LENGTHS.pack(*lengths))
    with pytest.raises(ProtocolError, match="longer than"):
        receive(ours, 1000)


def test_a_frame_in_pieces_is_put_together(channel):
    ours, theirs = channel
    frame = encode({"t": torch.arange(100_000)})
    sender = threading.Thread(
        target=lambda: [theirs.sendall(frame[at : at + 999]) for at in range(0, len(frame), 999)]
    )
    sender.start()
    assert torch.equal(receive(ours, 2**20)["t"], torch.arange(100_000))
    sender.join()


def test_a_channel_that_is_closed_within_a_frame_raises_eoferror(channel):
    ours, theirs = channel
    theirs.sendall(encode({"a": 1})[:-1])
    theirs.close()
    with pytest.raises(EOFError):
        receive(ours, 1000)


def test_the_header_is_json(channel):
    assert json.loads(encode({"a": (1,)})[LENGTHS.size :]) == {"dict": {"a": {"tuple": [1]}}}


def test_lone_surrogates_are_replaced():
    back = round_trip({"\ud800": ["a\udfff", "é"]})
    assert back == {"?": ["a?", "é"]}
