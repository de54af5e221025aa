"""Files that a browser or a program saves."""

from quart import Response


def csv_download(filename: str, body: bytes) -> Response:
    """Answer with a CSV file in UTF-8; `filename` is plain ASCII of ours."""
    response = Response(body, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
