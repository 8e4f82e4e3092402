"""`result_file`: the value under a tag in an event file of TensorBoard, and the other tags of the same step.

Such a file is a TFRecord: for each record its length (8 bytes, little-endian), a checksum of that (4), its bytes, and a
checksum of these (4), as "TFRecords Format Details" of TensorFlow's documentation says. A record is a message `Event`
(tensorflow/core/util/event.proto: 2 is the step, 5 the summary) in protobuf's encoding
(https://protobuf.dev/programming-guides/encoding). Its summary has values (tensorflow/core/framework/summary.proto: 1
is the tag, 2 the number of PyTorch's writer, 8 the tensor of TensorFlow's, as tensor.proto there has it).
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from candle_hpo.core.trial import Metrics
from candle_hpo.launch.measuring.metrics import metrics_of
from candle_hpo.launch.measuring.number_texts import shortened
from candle_hpo.launch.measuring.readings import Choice, Measured, Reading, chosen

_LONGEST_RECORD = 1 << 28  # bytes; images are smaller
_LONGEST_SCALAR = 1 << 16  # what is longer holds no scalars alone, and no step of interest
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types
_FLOAT, _DOUBLE, _HALF, _BFLOAT = 1, 2, 19, 14  # of tensorflow/core/framework/types.proto


class Scalars(NamedTuple):
    """The numbers that one record has, by their tags, and its step."""

    step: int
    values: dict[str, float]


class EventFileError(ValueError):
    """An event file is not what it should be."""


def _crc_table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)  # CRC-32C, Castagnoli
        table.append(number)
    return table


_CRC = _crc_table()


def checksum(data: bytes) -> int:
    """Return the masked CRC-32C of a TFRecord."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the records from where the file stands, and leave it behind the last one that is whole.

    Raises `EventFileError` where a checksum says that the bytes are others than were written.
    """
    while True:
        begin = file.tell()
        head = file.read(12)
        if len(head) < 12:
            break
        length, check = struct.unpack("<QI", head)
        if checksum(head[:8]) != check or length > _LONGEST_RECORD:
            raise EventFileError("is not a file of TensorBoard's events, or is damaged")
        data = file.read(length) if length <= _LONGEST_SCALAR else b""
        if not data:
            file.seek(length, os.SEEK_CUR)
        end = file.read(4)
        if len(end) < 4:
            break
        if data:
            if checksum(data) != struct.unpack("<I", end)[0]:
                raise EventFileError(f"is damaged at byte {begin}")
            yield data
    file.seek(begin)


def scalars_of(record: bytes) -> Scalars:
    """Return the numbers in a record. Raises `EventFileError` for what is not a message."""
    try:
        step = 0
        values: dict[str, float] = {}
        for number, kind, field in _fields(record):
            if number == 2 and kind == _VARINT:
                step = int.from_bytes(field, "little", signed=True)
            elif number == 5 and kind == _BYTES:
                values.update(dict(filter(None, map(_scalar, _repeated(field, 1)))))
    except (IndexError, struct.error, UnicodeDecodeError):
        raise EventFileError("has a record that is not an event") from None
    return Scalars(step, values)


def _scalar(value: bytes) -> tuple[str, float] | None:
    """Return the tag and the number of a value of a summary; None where it is something else, such as an image."""
    tag, number = "", None
    for field, kind, data in _fields(value):
        if field == 1 and kind == _BYTES:
            tag = data.decode()
        elif field == 2 and kind == _FOUR:
            (number,) = struct.unpack("<f", data)
        elif field == 8 and kind == _BYTES:
            number = _of_tensor(data)
    return None if number is None else (tag, float(number))


def _of_tensor(tensor: bytes) -> float | None:
    """Return the number of a tensor that is one; None where there are several, or of another type."""
    kind, has_dimensions = 0, False
    numbers: list[float] = []
    for field, wire, data in _fields(tensor):
        if field == 1 and wire == _VARINT:
            kind = int.from_bytes(data, "little")
        elif field == 2 and wire == _BYTES:
            has_dimensions = bool(data)
        elif field == 4 and wire == _BYTES and data:
            form = {_FLOAT: "f", _DOUBLE: "d", _HALF: "e"}.get(kind)
            if kind == _BFLOAT:
                data, form = b"\0\0" + data, "f"  # the upper half of a float
            if form is None or len(data) != struct.calcsize(f"<{form}"):
                return None
            numbers.extend(struct.unpack(f"<{form}", data))
        elif (field, wire) in ((5, _FOUR), (6, _EIGHT)):
            numbers += struct.unpack("<f" if field == 5 else "<d", data)
        elif (field, wire) in ((5, _BYTES), (6, _BYTES)):  # packed
            size, form = (4, "f") if field == 5 else (8, "d")
            numbers += struct.unpack(f"<{len(data) // size}{form}", data)
    return numbers[0] if len(numbers) == 1 and not has_dimensions else None


def _repeated(message: bytes, number: int) -> list[bytes]:
    return [data for field, kind, data in _fields(message) if (field, kind) == (number, _BYTES)]


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the fields of a message: their numbers, wire types, and bytes, of a varint those of 64 bits."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(message, at)
            data = (number & (1 << 64) - 1).to_bytes(8, "little")
        else:
            length = {_EIGHT: 8, _FOUR: 4}.get(kind)
            if kind == _BYTES:
                length, at = _varint(message, at)
            if length is None or at + length > len(message):
                raise IndexError
            data, at = message[at : at + length], at + length
        yield key >> 3, kind, data


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return number, at
        if shift > 63:
            raise IndexError


def in_event_files(files: Sequence[tuple[Path, int]], key: str, choice: Choice, *, is_over: bool = True) -> Measured:
    """Return the value of a tag in the event files of a folder, which are one run, as TensorBoard takes them.

    Of each file, its first bytes, so many of them, are not the trial's. Raises `ValueError` where there is no value, or
    a file is not sound; of a trial that `is_over` by itself, the last one is whole.
    """
    found: list[tuple[int, float]] = []
    beside: dict[int, dict[str, object]] = {}
    for path, begin in files:
        with path.open("rb") as file:
            file.seek(begin)
            try:
                for scalars in map(scalars_of, records(file)):
                    others = beside.setdefault(scalars.step, {"step": scalars.step})
                    others |= {tag: value for tag, value in scalars.values.items() if tag != key}
                    if key in scalars.values:
                        found.append((scalars.step, scalars.values[key]))
            except EventFileError as error:
                raise ValueError(f"{path.name} {error}") from None
            if is_over and path == files[-1][0] and file.read(1):
                raise ValueError(f"{path.name} ends within a record; let the script close its writer")
    measured = chosen((reading(value, beside[step]) for step, value in found), choice, key)
    if measured is None:
        tags = ", ".join(sorted({tag for each in beside.values() for tag in each} - {"step"}))
        raise ValueError(f'{files[-1][0].name} has no "{key}" (it has: {shortened(tags) or "no numbers"})')
    return measured


def reading(value: float, others: dict[str, object]) -> Reading:
    """Return what a step of an event file says."""
    metrics: Metrics = metrics_of(others)
    return Reading(value if math.isfinite(value) else None, metrics)
