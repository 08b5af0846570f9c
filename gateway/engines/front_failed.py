"""What Envoy, our front door, answers by itself: a worker makes the page where an app fails that it carries, in Lua.

Envoy knows that it has no answer of the app, and says so to the script in a header that no app can write: the route
removes it from every answer, and only then is Envoy's own marked. Without a word of a worker a plain sentence stays.
Pure.
"""

import json
from http import HTTPStatus
from typing import Any

from gateway.engines.front_known import ASKED, KNOWN
from gateway.engines.front_place import StaticPage
from gateway.request.hop import FAILED, NOTE

_SENTENCE = "The application did not answer.\n"
_PLAIN = (400, 408, 413, 431, 426, 500, 505)
_ANSWERED_400 = (404, 501)
"""What Envoy says of CONNECT and of a transfer coding that it does not know; we read neither."""
_TEXT = "text/plain; charset=utf-8"


def local_replies(*, carries: bool, too_large: StaticPage | None = None) -> dict[str, Any]:
    """Return what Envoy says; `carries`: some of it for apps that it asks by itself. `too_large` is the page of a 431.

    Its own words tell of addresses and causes (security rule 7).
    """
    told = []
    if carries:
        # Of the mappers the first that fits counts, so 503 stands here, too.
        told = [
            _mapper(_of_carried("EQ", 503), _SENTENCE, **_MARKED, status_code=502),
            _mapper(_of_carried("GE", 500), _SENTENCE, **_MARKED),
            _mapper(_of_carried("EQ", 408), "408 Request Timeout\n", **_MARKED),
        ]
    plain = [_as_page(431, too_large)] if too_large else []
    plain += [_mapper(_status("EQ", code), _line(code), headers_to_add=[_NOT_KEPT]) for code in _PLAIN]
    plain += [
        _mapper(_status("EQ", code), _line(400), status_code=400, headers_to_add=[_NOT_KEPT])
        for code in _ANSWERED_400
    ]
    return {
        "mappers": [*told, _mapper(_both(_status("EQ", 503), _FAULT), _SENTENCE, status_code=502), *plain],
        "body_format": _body("The request was not answered.\n"),
    }


def bridge_replies(url: str) -> dict[str, Any]:
    """Return what Envoy says to a worker in the place of an answer of the app at `url`: the worker makes the page."""
    told = _header(FAILED, f"%RESPONSE_FLAGS% {url.replace('%', '%%')}")
    mappers = [_mapper(_both(_status("GE", 500), _FAULT), _SENTENCE, headers_to_add=[told])]
    return {**local_replies(carries=False), "mappers": [*mappers, *local_replies(carries=False)["mappers"]]}


def present(name: str, key: str) -> dict[str, Any]:
    """Return a matcher of dynamic metadata that is there."""
    return {"filter": name, "path": [{"key": key}], "value": {"present_match": True}}


def about_carried() -> dict[str, Any]:
    """Return a filter for requests that a worker has allowed, or that are like one."""
    noted = (present(ASKED, NOTE), present(KNOWN, "told"))
    filters = [{"metadata_filter": {"matcher": one, "match_if_key_not_found": False}} for one in noted]
    return {"or_filter": {"filters": filters}}


def _line(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}\n"


def _body(text: str, content_type: str = _TEXT) -> dict[str, Any]:
    return {"text_format_source": {"inline_string": text}, "content_type": content_type}


def _mapper(which: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {"filter": which, "body_format_override": _body(text), **more}


def _as_page(code: int, page: StaticPage) -> dict[str, Any]:
    """What stands in it is meant as it stands, so that no percent sign begins one of Envoy's own words."""
    headers = {name.lower(): value.replace("%", "%%") for name, value in page.headers}
    body = _body(page.body.replace("%", "%%"), headers.pop("content-type"))
    added = [_header(name, value) for name, value in headers.items()]
    return {"filter": _status("EQ", code), "body_format_override": body, "headers_to_add": added}


def _status(comparison: str, code: int) -> dict[str, Any]:
    value = {"default_value": code, "runtime_key": "none"}
    return {"status_code_filter": {"comparison": {"op": comparison, "value": value}}}


def _of_carried(comparison: str, code: int) -> dict[str, Any]:
    return _both(_status(comparison, code), about_carried(), _FAULT)


def _both(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"and_filter": {"filters": list(filters)}}


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


_FAULT: dict[str, Any] = {"response_flag_filter": {}}
"""Something went wrong: Envoy has a flag for it, and none for an answer that a route of ours is."""
_NOT_KEPT = _header("cache-control", "no-store")
_MARKED: dict[str, Any] = {"headers_to_add": [_header(FAILED, "%RESPONSE_FLAGS% %REQ(:METHOD)%"), _NOT_KEPT]}


def failed_code() -> str:
    """Return the part of the script that is for failures, which `front_lua.answer_code` is made with."""
    return f"local failed = {json.dumps(FAILED)}\n{_CODE}"


_CODE = r"""
local not_of_the_page = {[":status"] = true, connection = true, ["content-length"] = true, [failed] = true}

-- In place of Envoy's sentence, the page that our own proxy would have answered with.
local function tell_failure(handle, said)
  local told = told_of(handle)
  local asked = {[":method"] = "GET", [":path"] = "/", [":authority"] = "gateway"}
  asked[failed] = table.concat({handle:headers():get(":status"), said, told[name_of], told[note_of]}, " ")
  handle:headers():remove(failed)
  handle:body()  -- all of the sentence, before the question: a script gets nothing that came while it waited
  local ok, page, text = pcall(function() return handle:httpCall(gateway, asked, "", 5000) end)
  if not ok or not page[failed] then return end
  local buffer, names = handle:body(), {}
  local headers = handle:headers()  -- the one from before does not outlive the question
  for name, _ in pairs(headers) do
    if name:sub(1, 1) ~= ":" then table.insert(names, name) end
  end
  for _, name in ipairs(names) do headers:remove(name) end
  headers:replace(":status", page[failed])
  for name, value in pairs(page) do
    if not not_of_the_page[name] and name:sub(1, 8) ~= "x-envoy-" then headers:replace(name, value) end
  end
  headers:replace("content-length", tostring(#text))
  if buffer then buffer:setBytes(text) end
end
"""
