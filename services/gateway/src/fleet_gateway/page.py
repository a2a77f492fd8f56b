"""The live page's files, read once at start and served with an ETag."""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet_common.errors import ConfigurationError

_TYPES: Final = {".js": "text/javascript", ".html": "text/html", ".css": "text/css"}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file: its bytes, type and entity tag."""

    content: bytes
    media_type: str
    etag: str


def read_page(directory: Path) -> dict[str, PageFile]:
    """All files below a folder by path; raises ConfigurationError without an index.html."""
    files: dict[str, PageFile] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            files[path.relative_to(directory).as_posix()] = PageFile(
                content=content,
                media_type=_TYPES.get(path.suffix, guessed),
                etag=f'"{hashlib.sha256(content).hexdigest()[:20]}"',
            )
    if "index.html" not in files:
        raise ConfigurationError(f"FLEET_GATEWAY__PAGE_DIRECTORY: {directory} has no index.html")
    return files


def page_routes(files: dict[str, PageFile]) -> list[Route]:
    """`/` and one route for each file. No file system is touched by a request."""

    def route(path: str, file: PageFile) -> Route:
        async def serve(request: Request) -> Response:
            # A browser asks each time and gets 304: after an upgrade no page mixes versions.
            headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
            if file.etag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            return Response(file.content, media_type=file.media_type, headers=headers)

        return Route(path, serve, methods=["GET"])

    routes = [route(f"/{name}", file) for name, file in files.items() if name != "index.html"]
    return [route("/", files["index.html"]), *routes]
