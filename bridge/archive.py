"""Files as one zip archive, made while it is read: what is not read yet is not made yet."""

import io
import zipfile
from collections.abc import Iterable, Iterator

from bridge.export import ExportFile

# A chunk is handed on once there is so much of it.
CHUNK = 64 * 1024


class _Sink(io.RawIOBase):
    """What was written since it was last taken. It cannot seek, so that sizes follow each file."""

    def __init__(self) -> None:
        self._parts = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]  # any buffer
        self._parts += content
        return len(content)

    def taken(self) -> bytes:
        content, self._parts = bytes(self._parts), bytearray()
        return content

    def __len__(self) -> int:
        return len(self._parts)


def zipped(files: Iterable[ExportFile], date_time: tuple[int, int, int, int, int, int]) -> Iterator[bytes]:
    """Chunks of the archive. `date_time` (UTC) is what it says of each file."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            info = zipfile.ZipInfo(file.name, date_time)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            with archive.open(info, "w", force_zip64=True) as entry:
                for part in file.content:
                    entry.write(part)
                    if len(sink) >= CHUNK:
                        yield sink.taken()
    yield sink.taken()
