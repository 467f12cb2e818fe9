"""TVM's C interface (its header tvm/ffi/c_api.h), as far as running a compiled model needs it.

In ctypes, because a board has none of TVM's Python packages.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import (
    POINTER,
    byref,
    c_char,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)

import numpy as np

FUNCTION = 68  # a value's type index, as the next ones
_INT, _TENSOR, _STRING = 1, 7, 8

_CPU = 1  # a DLPack device type
_DTYPES = {np.dtype(np.uint8): (1, 8), np.dtype(np.float32): (2, 32)}  # DLPack: code and bits


class TvmError(Exception):
    """What TVM, or code that it compiled, says when it fails, in one line."""


class Value(ctypes.Structure):
    """TVMFFIAny: an argument or a result; the payload is a number, an address or an object."""

    _fields_ = (("type_index", c_int32), ("padding", c_uint32), ("payload", c_int64))


class _Bytes(ctypes.Structure):
    """TVMFFIByteArray."""

    _fields_ = (("data", c_void_p), ("size", c_size_t))

    def text(self) -> str:
        return ctypes.string_at(self.data, self.size).decode("utf-8", "replace")


class _Error(ctypes.Structure):
    """An error object: TVMFFIObject, then the begin of TVMFFIErrorCell."""

    _fields_ = (("header", c_char * 24), ("kind", _Bytes), ("message", _Bytes))


class _Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", c_void_p),
        ("byte_offset", c_uint64),
    )


class Tvm:
    """A loaded libtvm_ffi. Every call raises TvmError for what it complains about."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._call = library.TVMFFIFunctionCall
        self._call.argtypes = (c_void_p, POINTER(Value), c_int32, POINTER(Value))

    def call(self, name: str, *arguments: int | str | Value) -> Value:
        """Call a global function. An object that it returns is the caller's, see `release`."""
        function = self._global(name)
        strings = [ctypes.create_string_buffer(str(each).encode()) for each in arguments]
        values = (Value * len(arguments))(
            *(_value(each, string) for each, string in zip(arguments, strings, strict=True))
        )
        result = Value()
        try:
            self.invoke(function, values, result)
        finally:
            self._library.TVMFFIObjectDecRef(c_void_p(function))
        return result

    def release(self, value: Value) -> None:
        """Give an object back."""
        self._library.TVMFFIObjectDecRef(c_void_p(value.payload))

    def invoke(self, function: int | None, values: ctypes.Array[Value], result: Value) -> None:
        """Call the function object at an address."""
        self._check(self._call(function, values, len(values), byref(result)))

    def _global(self, name: str) -> int:
        encoded = name.encode()
        buffer = ctypes.create_string_buffer(encoded)
        named = _Bytes(ctypes.addressof(buffer), len(encoded))
        function = c_void_p()
        self._check(self._library.TVMFFIFunctionGetGlobal(byref(named), byref(function)))
        if function.value is None:
            raise TvmError(f"no function {name}: another version of TVM is loaded")
        return function.value

    def _check(self, status: int) -> None:
        if not status:
            return
        handle = c_void_p()
        self._library.TVMFFIErrorMoveFromRaised(byref(handle))
        error = ctypes.cast(handle, POINTER(_Error)).contents
        text = " ".join(f"{error.kind.text()}: {error.message.text()}".split())
        self._library.TVMFFIObjectDecRef(handle)
        raise TvmError(text)


class Call:
    """A function together with the arrays that each call of it reads and writes, then numbers.

    arrays: C-contiguous, uint8 or float32.
    """

    def __init__(
        self, tvm: Tvm, function: Value, arrays: Sequence[np.ndarray], numbers: Sequence[int]
    ) -> None:
        self._invoke, self._function, self._result = tvm.invoke, function.payload, Value()
        self._arrays = arrays  # the tensors hold addresses only
        self._tensors = [_tensor(array) for array in arrays]
        self._values = (Value * (len(arrays) + len(numbers)))(
            *(Value(_TENSOR, 0, ctypes.addressof(tensor)) for tensor in self._tensors),
            *(Value(_INT, 0, number) for number in numbers),
        )

    def __call__(self) -> None:
        """Raises TvmError for arrays that do not fit the function."""
        self._invoke(self._function, self._values, self._result)


def _value(argument: int | str | Value, string: ctypes.Array[c_char]) -> Value:
    if isinstance(argument, Value):
        return argument
    if isinstance(argument, str):
        return Value(_STRING, 0, ctypes.addressof(string))
    return Value(_INT, 0, argument)


def _tensor(array: np.ndarray) -> _Tensor:
    code, bits = _DTYPES[array.dtype]
    shape = (c_int64 * array.ndim)(*array.shape)
    return _Tensor(array.ctypes.data, _CPU, 0, array.ndim, code, bits, 1, shape, None, 0)
