"""Where pictures begin and end in a stream of bytes: JPEGs and PNGs, one after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# More than the largest photo; a broken length must not fill the memory.
LARGEST = 64 * 2**20

_CHUNK = 2**16
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_START = re.compile(re.escape(_JPEG) + b"|" + re.escape(_PNG))
# In a scan FF is written FF 00, and FF D0 to FF D7 stand between its parts; other markers end it.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SCAN, _END, _IMAGE = 0xDA, 0xD9, 0xD8


def split_pictures(read: Callable[[int], bytes]) -> Iterator[bytes | None]:
    """Each picture in the stream, whole; None for one that is broken or cut short.

    What lies between pictures, as the headers of a multipart stream, is passed over.
    read: up to so many bytes of it, waiting for at least one; empty at the end.
    """
    stream = _Stream(read)
    while (found := stream.next_start()) is not None:
        end, is_whole = (_jpeg_end if found == _JPEG else _png_end)(stream)
        taken = stream.take(end)
        yield taken if is_whole else None


class _Stream:
    """The bytes from some place on, read as far as is needed."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.data = bytearray()
        self._read = read

    def reach(self, length: int) -> bool:
        """Whether so many bytes are there; False at the end of the stream and for too many."""
        while len(self.data) < length <= LARGEST:
            chunk = self._read(_CHUNK)
            if not chunk:
                return False
            self.data += chunk
        return length <= LARGEST

    def take(self, length: int) -> bytes:
        taken = bytes(self.data[:length])
        del self.data[:length]
        return taken

    def next_start(self) -> bytes | None:
        """Go to the next picture; its first bytes, or None at the end of the stream."""
        while not (match := _START.search(self.data)):
            kept = min(len(self.data), len(_PNG) - 1)  # perhaps the beginning of a beginning
            self.take(len(self.data) - kept)
            if not self.reach(kept + 1):
                return None
        found = match[0]
        self.take(match.start())
        return found


def _jpeg_end(stream: _Stream) -> tuple[int, bool]:
    """Length of the JPEG at the beginning, True; or length of what is surely broken, False.

    Where a segment's end shows that its length was none, the next picture may begin within it.
    """
    at = good = 2
    while stream.reach(at + 2):  # never a byte more: the next picture may be long in coming
        first, marker = stream.data[at : at + 2]
        if first != 0xFF:
            return good, False
        if marker == _IMAGE:  # the next picture: this one has no end
            return at, False
        if marker == _END:
            return at + 2, True
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if not stream.reach(at + 4):
            break
        good, at = at, at + 2 + int.from_bytes(stream.data[at + 2 : at + 4], "big")
        if marker == _SCAN:
            at = _scan_end(stream, at)
    return good, False


def _scan_end(stream: _Stream, at: int) -> int:
    """Where the marker is that ends the scan at `at`."""
    while not (match := _MARKER.search(stream.data, at)):
        at = max(at, len(stream.data) - 1)
        if not stream.reach(len(stream.data) + 1):
            return len(stream.data)
    return match.start()


def _png_end(stream: _Stream) -> tuple[int, bool]:
    """As `_jpeg_end`, of a PNG."""
    at = good = len(_PNG)
    name = b""
    while name != b"IEND":
        if not stream.reach(at + 8):
            return good, False
        name = bytes(stream.data[at + 4 : at + 8])
        if not name.isalpha():
            return good, False
        good, at = at, at + 12 + int.from_bytes(stream.data[at : at + 4], "big")
    return (at, True) if stream.reach(at) else (good, False)
