"""What Envoy's own filters can't say, in Lua: names in every spelling, our cookies, a handshake without a key."""

from collections.abc import Iterable

from gateway.engines.headers import TO_THE_GATEWAY
from gateway.engines.plan import EnginePlan
from gateway.forwardauth import CONSUMED


def strip_code(plan: EnginePlan) -> str:
    """Before the verdict: ext_authz replaces only what it sets, so nothing of the client's may be left.

    What a route removes beside what is always removed stands in its metadata.
    """
    port = 443 if plan.secure else 80
    return f"local asked = {_set(TO_THE_GATEWAY)}\nlocal default_port = {port}\n{_STRIP}{_NO_KEY}end\n"


def _set(names: Iterable[str]) -> str:
    return "{" + ", ".join(f'["{name}"] = true' for name in names) + "}"


_STRIP = """\
local function said(handle, name)
  return (handle:metadata():get(name) or {})
end

local function strip(handle)
  local headers, found = handle:headers(), {}
  local names, families = {}, {"x-forwarded-", "x-envoy-"}
  for _, family in ipairs(said(handle, "families")) do table.insert(families, family) end
  for _, name in ipairs(said(handle, "removed")) do names[name] = true end
  for option in (headers:get("connection") or ""):gmatch("[^, ]+") do
    names[(option:lower():gsub("[^a-z0-9]", "-"))] = true
  end
  names["connection"], names["upgrade"], names["host"], names["content-length"] = nil, nil, nil, nil
  names["transfer-encoding"], names["x-request-id"] = nil, nil
  local client = handle:streamInfo():downstreamRemoteAddress():gsub(":%d+$", ""):gsub("[%[%]]", "")
  local scheme = headers:get("x-forwarded-proto")
  for name, _ in pairs(headers) do
    -- As the laxest app would read it: CGI turns every sign into one.
    local key = name:gsub("[^a-z0-9]", "-")
    local gone = names[key] or asked[key]
    for _, family in ipairs(families) do gone = gone or key:find(family, 1, true) == 1 end
    if gone and name:sub(1, 1) ~= ":" then table.insert(found, name) end
  end
  for _, name in ipairs(found) do headers:remove(name) end
  local authority = headers:get(":authority") or ""
  headers:replace("x-forwarded-for", client)
  headers:replace("x-forwarded-proto", scheme)
  headers:replace("x-forwarded-host", authority)
  headers:replace("x-forwarded-port", authority:match(":(%d+)$") or tostring(default_port))
end

function envoy_on_request(handle)
  -- Envoy goes on with a request whose script has failed; this one must not.
  if not pcall(strip, handle) then
    handle:respond({[":status"] = "500"}, "The request can't be checked.")
  end
"""


_NO_KEY = """\
  if handle:headers():get("connection") then handle:headers():replace("connection", "upgrade") end
  if (handle:headers():getNumValues("destination") or 0) > 1 then
    handle:respond({[":status"] = "400"}, "Several Destination headers.")
  end
  local upgrade = handle:headers():get("upgrade")
  local key = handle:headers():get("sec-websocket-key")
  if not upgrade then handle:headers():remove("sec-websocket-key") end
  if upgrade and not (handle:headers():get(":method") == "GET" and key and key:match("^[A-Za-z0-9+/]+=*$")) then
    handle:respond({[":status"] = "400"}, "An upgrade that is no WebSocket handshake (RFC 6455, section 4.1).")
  end
"""
"""A handshake without a key would not be asked for its Origin. Envoy has taken the upgrade in by now, so it is refused.
"""


def all_but(word: str) -> str:
    """A regular expression for every text but this one, in any case: RE2 can't look ahead."""
    differs = (f"{word[:at]}(?:[^{sign}].*)?" for at, sign in enumerate(word))
    return f"(?i)(?:{'|'.join(differs)}|{word}.+)"


def cookie_code(plan: EnginePlan) -> str:
    """Apps never see our cookies. It runs after the verdict, and not on the way to the portal."""
    own = plan.config.session.cookie_name.lower()
    return f"""function envoy_on_request(handle)
  -- Only ways to apps say what they remove.
  if not handle:metadata():get("removed") then return end
  if handle:headers():get("{CONSUMED.lower()}") then handle:headers():remove("authorization") end
  handle:headers():remove("{CONSUMED.lower()}")
  local kept = {{}}
  for crumb in (handle:headers():get("cookie") or ""):gmatch("[^;]+") do
    local name = crumb:match("^%s*([^=]*)"):lower():gsub("^__host%-", ""):gsub("^__secure%-", ""):gsub("%s+$", "")
    if name ~= "{own}" and name:sub(1, {len(own) + 1}) ~= "{own}_" then table.insert(kept, crumb) end
  end
  handle:headers():remove("cookie")
  if #kept > 0 then handle:headers():add("cookie", table.concat(kept, ";")) end
end
"""
