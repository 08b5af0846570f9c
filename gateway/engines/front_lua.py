"""What Envoy does to an app's answer where it carries a route by itself, in Lua: what `proxy.response_headers` does.

And an answer that comes late, to somebody whose session has ended meanwhile, is refused; `front_watch` takes its body.
"""

import json

from gateway.config.schema import Config, Route
from gateway.engines.carrying import carried
from gateway.engines.front_failed import failed_code
from gateway.engines.front_known import known_code
from gateway.engines.front_place import GATEWAY
from gateway.engines.front_watch import ASK_AGAIN_AFTER, REFUSED, WIRE
from gateway.engines.plan import address_of
from gateway.proxy.client_response import NOT_IN_TRAILERS
from gateway.proxy.shared_caches import OVERRULING
from gateway.request.hop import AGAIN, PRIVATE, PUBLIC


def answer_code(config: Config) -> str:
    """Return the script; what differs from route to route is a table in it, by the name of the route."""
    own = sorted({"", "__host-", "__secure-"})
    name = config.session.cookie_name.lower().removeprefix("__host-").removeprefix("__secure-")
    rows = [f"  [{json.dumps(key)}] = {_row(route)}," for key, route in carried(config).items()]
    hidden = ", ".join(f"[{json.dumps(name)}] = true" for name in sorted(NOT_IN_TRAILERS))
    return "\n".join(
        (
            f"local own, own_family = {json.dumps(name)}, {json.dumps(name + '_')}",
            f"local prefixes = {{{', '.join(json.dumps(prefix) for prefix in own)}}}",
            f"local overruling = {{{', '.join(json.dumps(name.decode()) for name in sorted(OVERRULING))}}}",
            f"local again, public, private = {json.dumps(AGAIN)}, {json.dumps(PUBLIC)}, {json.dumps(PRIVATE)}",
            f"local gateway, patience = {json.dumps(GATEWAY)}, {ASK_AGAIN_AFTER}",
            "local routes = {",
            *rows,
            "}",
            f"local not_in_trailers = {{{hidden}}}",
            f"local wire_of, refused = {json.dumps(WIRE)}, {json.dumps(REFUSED)}",
            known_code(),
            failed_code(),
            _CODE,
        )
    )


def _row(route: Route) -> str:
    address = address_of(route.upstreams[0])
    unix = route.upstreams[0].startswith("unix:")
    authority = (
        "localhost" if unix else address.authority.removesuffix(":443" if address.tls else ":80").lower()
    )
    said = {
        "authority": json.dumps(authority),
        "keeps_host": json.dumps(route.preserve_host),
        "location": json.dumps(route.rewrite.location),
        "domain": json.dumps(route.rewrite.cookie_domain),
        "shared": json.dumps(route.cacheable),
    }
    return "{" + ", ".join(f"{key} = {value}" for key, value in said.items()) + "}"


_CODE = r"""
local function trim(text) return (text:gsub("^%s+", ""):gsub("%s+$", "")) end

local function is_own(cookie)
  local name = trim(cookie:gsub("^[%s=]+", ""):match("^[^=;]*")):lower()
  for _, prefix in ipairs(prefixes) do
    local bare = name:sub(1, #prefix) == prefix and name:sub(#prefix + 1) or ""
    if bare == own or bare:sub(1, #own_family) == own_family then return true end
  end
  return false
end

local function covers(domain, host)
  domain = domain:lower():gsub("^%.+", "")
  return host == domain or host:sub(-#domain - 1) == "." .. domain
end

local function set_cookie(route, here, value)
  if is_own(value) then return nil end
  local pair, rest = value:match("^([^;]*)(.*)$")
  if not route.domain or trim(pair):lower():sub(1, 7) == "__host-" then return value end
  rest = rest:gsub(";([^;=]*)=([^;]*)", function(name, text)
    if trim(name):lower() == "domain" and trim(text) ~= "" and not covers(trim(text), here.host) then
      return ";" .. name .. "=" .. here.host
    end
  end)
  return pair .. rest
end

local function location(route, here, value)
  local scheme, authority, rest = value:match("^%s*(%a[%w+.-]*)://([^/?#]*)(.*)$")
  if not scheme then
    scheme, authority, rest = here.scheme, value:match("^%s*//([^/?#]*)(.*)$")
    if not authority then return value end
  end
  scheme = scheme:lower()
  local bare = authority:gsub("^.*@", ""):lower()
  bare = bare:gsub(scheme == "https" and ":443$" or ":80$", "")
  local known = (scheme == "http" or scheme == "https") and bare == route.authority
  known = known or (route.keeps_host and (scheme == "http" or scheme == here.scheme) and bare == here.authority)
  return known and here.scheme .. "://" .. here.authority .. trim(rest) or value
end

local function refresh(route, here, value)
  local before, url, after = value:match("^(%s*[%d.]+%s*[;,]%s*[uU][rR][lL]%s*=%s*['\"]?)([^'\"]*)(.*)$")
  return before and before .. location(route, here, url) .. after or value
end

local function keep_cookies(value)
  local kept = {}
  for directive in value:gmatch("[^,]+") do
    directive = trim(directive)
    if directive == '"*"' then
      table.insert(kept, '"cache"')
      table.insert(kept, '"storage"')
    elseif directive:lower() ~= '"cookies"' then
      table.insert(kept, directive)
    end
  end
  return #kept > 0 and table.concat(kept, ", ") or nil
end

-- RFC 9111 section 5.2.2. A quoted string may hold a comma: all is kept then, and `private` put before it.
local function without_sharing(value)
  if value:find('"', 1, true) then return "private, " .. value end
  local kept, enough, was_private, changed = {}, false, false, false
  for one in value:gmatch("[^,]+") do
    one = trim(one)
    local name = one:match("^[^=]*"):gsub("%s+$", ""):lower()
    if name == "private" then was_private = was_private or one:lower() == "private"
    elseif name == "public" or name == "s-maxage" then changed = true
    else
      if one:lower() == "no-store" then enough = true end
      table.insert(kept, one)
    end
  end
  if was_private and not changed then return value end
  if was_private or not enough then table.insert(kept, 1, "private") end
  return table.concat(kept, ", ")
end

local function each(headers, name, change)
  local count = headers:getNumValues(name)
  if count == 0 then return end
  local values, differs = {}, false
  for at = 0, count - 1 do
    local value = headers:getAtIndex(name, at)
    local new = change(value)
    differs = differs or new ~= value
    if new then table.insert(values, new) end
  end
  if not differs then return end
  headers:remove(name)
  for _, value in ipairs(values) do headers:add(name, value) end
end

local function mend(headers, route, told)
  local here = {}
  here.scheme, here.authority = told[public]:match("^(%a+)://(.*)$")
  here.host = here.authority:gsub(":%d+$", ""):gsub("[%[%]]", "")
  each(headers, "set-cookie", function(value) return set_cookie(route, here, value) end)
  each(headers, "clear-site-data", keep_cookies)
  if route.location then
    for _, name in ipairs({"location", "content-location"}) do
      each(headers, name, function(value) return location(route, here, value) end)
    end
    each(headers, "refresh", function(value) return refresh(route, here, value) end)
  end
  if told[private] and not route.shared then
    each(headers, "cache-control", without_sharing)
    if headers:getNumValues("cache-control") == 0 then headers:add("cache-control", "private") end
    for _, name in ipairs(overruling) do headers:remove(name) end
  end
end

local function goes_on(handle, told)
  local ok, headers = pcall(function()
    return (handle:httpCall(gateway, {
      [":method"] = "GET", [":path"] = "/", [":authority"] = "gateway", [again] = told[again]
    }, "", 5000))
  end)
  return ok and headers[":status"] == "200"
end

local function refuse(headers)
  local names = {}
  for name, _ in pairs(headers) do
    if name:sub(1, 1) ~= ":" then table.insert(names, name) end
  end
  for _, name in ipairs(names) do headers:remove(name) end
  headers:replace(":status", "403")
  headers:replace(wire_of, refused)
  headers:add("cache-control", "no-store")
end

-- What would come around what is done to headers (RFC 9110 section 6.5.1); the body is not held back for it.
local function mend_trailers(handle)
  local trailers, names = handle:trailers(), {}
  if not trailers then return end
  for name, _ in pairs(trailers) do
    if not_in_trailers[(name:lower():gsub("[^a-z0-9]", "-"))] then table.insert(names, name) end
  end
  for _, name in ipairs(names) do trailers:remove(name) end
end

function envoy_on_response(handle)
  local name = handle:metadata():get("carried")
  if not name then
    forget(handle)
    return
  end
  local said = handle:headers():get(failed)
  if said then
    tell_failure(handle, said)
    return
  end
  local told = told_of(handle)
  local route, headers = routes[name], handle:headers()
  -- Envoy goes on with an answer whose script has failed; this one must not.
  if not pcall(mend, headers, route, told) then
    refuse(headers)
  elseif told[again] then
    local asked = tonumber(told[again]:match("^(%d+)"))
    if handle:timestamp() - asked > patience and not goes_on(handle, told) then
      refuse(handle:headers())  -- the one from before does not outlive the question
    end
  end
  mend_trailers(handle)
end
"""
