"""What all of the JSON API shares: bodies, answers, OpenAPI, and its page for people."""

import re
from collections.abc import Iterable
from inspect import getdoc
from typing import Any, TypeVar

import msgspec
from quart import Quart, Response, current_app, request
from quart.typing import ResponseReturnValue
from quart_schema import DataSource, HttpSecurityScheme, Info, OpenAPIProvider, QuartSchema
from werkzeug.routing import IntegerConverter, Map, Rule

from freshledger import __version__
from freshledger.errors import Invalid
from freshledger.web.context import find_viewer, public
from freshledger.web.idempotency import HEADER, LONGEST
from freshledger.web.rendering import render

Body = TypeVar("Body", bound=msgspec.Struct)

MAX_ID = 2**63 - 1
_FIELD = re.compile(r"`\$\.([^`]+)`|(?:field|key) `([^`]+)`")
_INDEX = re.compile(r"\[(\.\.\.|\d+)\]")


class Identifier(IntegerConverter):
    """An id in a path: a number that fits PostgreSQL's bigint; others are no address at all."""

    def __init__(self, url_map: Map, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Werkzeug's
        super().__init__(url_map, *args, **({"max": MAX_ID} | options))


class _Provider(OpenAPIProvider):
    """Describes the API alone, and that each operation may answer with a problem.

    quart-schema 0.25 keeps only one of the components of a msgspec Struct; here all are kept.
    """

    def generate_rules(self) -> Iterable[Rule]:
        rules = (rule for rule in super().generate_rules() if rule.rule.startswith("/api/v1/"))
        return sorted(rules, key=lambda rule: rule.rule)

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        paths, components = super().build_paths(rule)
        for operations in paths.values():
            for method, operation in operations.items():
                operation["responses"] = operation["responses"] | {"default": _PROBLEM}
                if method == "post":
                    operation["parameters"].append(_IDEMPOTENCY_KEY)
        return paths, components

    def build_headers_parameters(
        self, model: type[Any]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        parameters, components = super().build_headers_parameters(model)
        needed = {field.encode_name for field in msgspec.structs.fields(model) if field.required}
        for parameter in parameters:
            parameter["required"] = parameter["name"] in needed
        return parameters, components

    def build_request_body(
        self, model: type[Any], _source: DataSource
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        schema, components = _schema(model)
        return {"required": True, "content": {"application/json": {"schema": schema}}}, components

    def build_response_object(
        self, model: type[Any], _headers: object
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        schema, components = _schema(model)
        answer = {
            "description": getdoc(model) or "",
            "content": {getattr(model, "content_type", "application/json"): {"schema": schema}},
        }
        return answer, components


def _schema(model: type[msgspec.Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    template = "#/components/schemas/{name}"
    (schema,), components = msgspec.json.schema_components([model], ref_template=template)
    return schema, components


_PROBLEM = {
    "description": "An error: its code is stable, and field names what it is about.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "field": {"type": "string"},
                    "current": {
                        "type": "object",
                        "description": "412 of a row: the row as it is now",
                    },
                    "conflicts": {
                        "type": "array",
                        "description": "412 of a row: each field that was changed meanwhile",
                        "items": {
                            "type": "object",
                            "properties": {
                                "field": {"type": "string"},
                                "theirs": {"description": "what it is now"},
                                "yours": {"description": "what was sent"},
                                "base": {"description": "what it was at the version sent"},
                                "changed_by": {"type": "string"},
                                "changed_at": {"type": "string", "format": "date-time"},
                            },
                            "required": ["field", "theirs"],
                        },
                    },
                    "changed_by": {"type": ["string", "null"]},
                    "changed_at": {"type": ["string", "null"], "format": "date-time"},
                },
                "required": ["type", "title", "status", "code", "detail"],
            }
        }
    },
}
_IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Sent again with the same key within 24 hours, the same request is not done again:"
    " its answer is repeated, with Idempotency-Replayed: true. Another request with that key is"
    " refused, 422 idempotency_key_reused. Keys belong to the user who sends them.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"},
}
_DESCRIPTION = (
    "Amounts are strings and exact; times are RFC 3339 in UTC; every list says the version of"
    " the ledger that it shows. Send a token as `Authorization: Bearer fl_…`."
)


def install(app: Quart) -> None:
    """Give `app` /openapi.json and /api/docs, and let no path have an id that is none."""
    app.url_map.converters["int"] = Identifier
    schema = QuartSchema(
        openapi_path=None,
        info=Info(title="freshledger", version=__version__, description=_DESCRIPTION),
        security_schemes={"token": HttpSecurityScheme(scheme="bearer")},
        security=[{"token": []}],
        conversion_preference="msgspec",
        openapi_provider_class=_Provider,
    )
    schema.init_app(app)

    @app.get("/openapi.json")
    @public
    async def openapi() -> ResponseReturnValue:
        return json_response(current_app.extensions["QUART_SCHEMA"].openapi_provider.schema())

    @app.get("/api/docs")
    @public
    async def api_docs() -> ResponseReturnValue:
        viewer = find_viewer()
        token = viewer.csrf_token if viewer else ""
        return await render("api_docs.html", csrf_token=token)


def json_response(body: Any, status: int = 200) -> Response:  # noqa: ANN401 - whatever msgspec can write
    """Answer with JSON: Decimals as strings, times as RFC 3339."""
    return Response(msgspec.json.encode(body), status, content_type="application/json")


async def read_body(kind: type[Body]) -> Body:
    """Read the request's JSON; raises Invalid naming the field that is wrong."""
    data = await request.get_data()
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the body is not JSON: {error}", field="body") from error


def invalid_body(error: Exception) -> Invalid:
    """Say which field of a body msgspec refused."""
    message = str(error)
    found = _FIELD.search(message)
    field = _INDEX.sub("", (found[1] or found[2]).split(".")[0]) if found else "body"
    return Invalid(f"{field}: {message[:1].lower()}{message[1:]}", field=field)
