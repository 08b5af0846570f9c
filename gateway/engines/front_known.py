"""What Envoy, our front door, says by itself for half a second: that it may carry a request like one that was allowed.

To ask a worker costs several times what Envoy needs for all of a small request. So a worker's yes (`server.carried`)
may be kept: a GET or HEAD with the same headers, byte for byte, of the same client is carried in the same way. A worker
hears within a second of a session that has ended elsewhere: with this half second both stay below 2 s. Pure.
"""

import json

from gateway.request.hop import CARRY, CERTIFICATE, KEEP, NAME, NOTE

ASKED = "envoy.filters.http.ext_authz"
"""Where Envoy keeps what a worker has said of a request."""
KNOWN = "known"
"""Where the script keeps the same."""
KEEP_FOR = 500
"""Milliseconds for which a worker's yes is good."""


def known_code() -> str:
    """Return the part of the script that is for requests, which `front_lua.answer_code` is made with."""
    names = {
        "name_of": NAME,
        "note_of": NOTE,
        "keep": KEEP,
        "carry": CARRY,
        "certificate": CERTIFICATE,
        "asked_filter": ASKED,
        "known": KNOWN,
    }
    said = "\n".join(f"local {word} = {json.dumps(name)}" for word, name in names.items())
    return f"{said}\nlocal keep_for = {KEEP_FOR}\n{_CODE}"


_CODE = r"""
local most, longest = 512, 4096
local kept, count = {}, 0

-- A path with one reading, as the workers' `request_head.PLAIN_PATH` and `PLAIN_QUERY`.
local function is_plain(path)
  local bare, query = path:match("^([^?]*)%??(.*)$")
  if #path > 1024 or path:sub(-1) == "?" or query:find("[^!-~]") or query:find("#", 1, true) then return false end
  return path:sub(1, 1) == "/" and not bare:find("[^%w%-._~!$&'()*+,=:@/]")
    and not bare:find("//", 1, true) and not bare:find("/.", 1, true)
end

local function holds_for(entry, path)
  if entry.paths[path] then return true end
  if not is_plain(path) then return false end
  local folded = path:lower()
  for _, start in ipairs(entry.elsewhere) do
    if folded:sub(1, #start) == start then return false end
  end
  if entry.places < 64 then entry.paths[path], entry.places = true, entry.places + 1 end
  return true
end

-- All but the path: who is not the same to the last byte is somebody else. No certificate counts here.
local function key_of(headers)
  local words, at = {}, 0
  for name, value in pairs(headers) do
    if name ~= ":path" and name ~= certificate then
      words[at + 1], words[at + 2] = name, value
      at = at + 2
    end
  end
  return table.concat(words, "\n")
end

local function fresh(key, now)
  local entry = kept[key]
  local age = entry and now - entry.at or keep_for
  return age >= 0 and age < keep_for and entry or nil
end

local function find(key, path, now)
  local entry = fresh(key, now)
  if not entry or not holds_for(entry, path) then entry = fresh(key .. "\n" .. path, now) end
  -- One request asks anew before the answer is too old, so that not all that come then have to.
  if entry and not entry.renewed and now - entry.at >= keep_for / 2 then
    entry.renewed = true
    return nil
  end
  return entry
end

local function remember(asked, told)
  local words = {}
  for word in (told[keep] .. "\t"):gmatch("([^\t]*)\t") do table.insert(words, word) end
  local name, scope, elsewhere, named, removed, whence, sid = unpack(words, 1, 7)
  local entry = {
    at = asked.at, name = name, elsewhere = {}, paths = {[asked.path] = true}, places = 1, asks = 0,
    named = named == "1", removed = {}, set = {}, whence = whence, sid = sid,
    id = told[name_of], note = told[note_of], public = told[public], private = told[private],
  }
  for start in elsewhere:gmatch("[^ ]+") do table.insert(entry.elsewhere, start:lower()) end
  for one in removed:gmatch("[^,]+") do table.insert(entry.removed, one) end
  for at = 8, #words - 1, 2 do table.insert(entry.set, {words[at], words[at + 1]}) end
  if count >= most then kept, count = {}, 0 end
  kept[scope == "all" and asked.key or asked.key .. "\n" .. asked.path], count = entry, count + 1
end

-- A worker did not say yes this time to what it has said yes to.
local function forget(handle)
  local mine = handle:streamInfo():dynamicMetadata():get(known)
  local asked = mine and mine.ask
  if not asked then return end
  local entry = kept[asked.key]
  if entry and holds_for(entry, asked.path) then kept[asked.key] = nil end
  kept[asked.key .. "\n" .. asked.path] = nil
end

-- What a worker has said of a request, or of the one that it is like.
local function told_of(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local mine = metadata:get(known)
  if mine and mine.told then return mine.told end
  local told = metadata:get(asked_filter) or {}
  if mine and mine.ask and told[keep] then remember(mine.ask, told) end
  return told
end

local function carry_by(handle, headers, entry, path)
  headers:replace(carry, entry.name)
  handle:clearRouteCache()
  -- In a reload this name may mean nothing any more.
  if handle:metadata():get("carried") ~= entry.name then
    headers:remove(carry)
    handle:clearRouteCache()
    return false
  end
  entry.asks = entry.asks + 1
  local id = entry.id .. "-" .. entry.asks
  local told = {[name_of] = id, [note_of] = entry.note, [public] = entry.public, [private] = entry.private}
  if entry.sid ~= "" then
    told[again] = table.concat({entry.at, headers:get(":method"), entry.whence, path, entry.sid}, " ")
  end
  for _, pair in ipairs(entry.set) do headers:replace(pair[1], pair[2]) end
  for _, name in ipairs(entry.removed) do headers:remove(name) end
  if entry.named then headers:replace("x-request-id", id) end
  handle:streamInfo():dynamicMetadata():set(known, "told", told)
  return true
end

local function carry_known(handle)
  local headers = handle:headers()
  local method = headers:get(":method")
  if method ~= "GET" and method ~= "HEAD" then return end
  local key, path, now = key_of(headers), headers:get(":path"), handle:timestamp()
  if #key > longest then return end
  local entry = find(key, path, now)
  if entry and carry_by(handle, headers, entry, path) then return end
  handle:streamInfo():dynamicMetadata():set(known, "ask", {key = key, path = path, at = now})
end

function envoy_on_request(handle)
  if not pcall(carry_known, handle) then
    -- Envoy goes on with a request whose script has failed; this one must not.
    handle:respond({[":status"] = "500", ["cache-control"] = "no-store"}, "The request can't be carried.\n")
  end
  -- Who is to be believed stands in headers; an app may take what a client writes behind the body for such (RFC 9110
  -- section 6.5.1). Our own proxy drops them, too.
  local trailers, names = handle:trailers(), {}
  if not trailers then return end
  for name, _ in pairs(trailers) do table.insert(names, name) end
  for _, name in ipairs(names) do trailers:remove(name) end
end
"""
