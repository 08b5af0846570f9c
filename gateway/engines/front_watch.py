"""Watches the answers that Envoy, our front door, carries: one whose session has ended is broken off, in Lua.

Once a second a worker is asked whether it may go on. A script that waited for the word in the middle of a body would
hold the body back until more of it comes, or for ever; so it does not wait, and a worker that says no leaves a file of
a name that the script has chosen, which it looks for (`server.carried`). Without a word the answer goes on: the next
question comes in a second.

Envoy's scripts can hold an answer back, but not end it. An app that goes away in the middle does that: the client sees
that the answer is not whole, and other requests on its connection go on. So the script ends the connection of this
request to the app, whose socket it knows by both its addresses. Where that can't be done, nothing more is sent, and
Envoy ends what has been silent for `timeouts.idle`. Pure.
"""

import json
from pathlib import Path

from gateway.engines.front_known import ASKED, KNOWN
from gateway.engines.front_place import ENDED, GATEWAY
from gateway.request.hop import AGAIN

WIRE = "x-gateway-wire"
"""Between the router and this script: both addresses of the connection to the app. No client gets it."""
REFUSED = "refused"
"""Stands there instead where the answer's body must not be sent."""
ASK_AGAIN_AFTER = 1000
"""Milliseconds after which a worker is asked whether an answer may go on."""
LOOK_EVERY = 100
"""Milliseconds between looks for its no."""


def watch_code(folder: Path) -> str:
    """Return the script. It stands between the client and `front_lua`, whose work it sees."""
    names = {"wire_of": WIRE, "refused": REFUSED, "again": AGAIN, "asked_filter": ASKED, "known": KNOWN}
    said = [f"local {word} = {json.dumps(name)}" for word, name in names.items()]
    said.append(f"local gateway, ended_in = {json.dumps(GATEWAY)}, {json.dumps(f'{folder / ENDED}/')}")
    said.append(f"local patience, look_every = {ASK_AGAIN_AFTER}, {LOOK_EVERY}")
    return "\n".join((*said, _CODE))


_CODE = r"""
local has_ffi, ffi = pcall(require, "ffi")
local can_cut = has_ffi and ffi.os == "Linux" and pcall(ffi.cdef, [[
  int getsockname(int fd, void *address, unsigned int *size);
  int getpeername(int fd, void *address, unsigned int *size);
  const char *inet_ntop(int family, const void *address, char *text, unsigned int size);
  int connect(int fd, const void *address, unsigned int size);
]])

-- As Envoy writes it: 127.0.0.1:80, [::1]:80.
local function address_by(ask, fd)
  local place, size, text = ffi.new("uint8_t[128]"), ffi.new("unsigned int[1]", 128), ffi.new("char[64]")
  if ask(fd, place, size) ~= 0 then return nil end
  local family, port = place[0] + 256 * place[1], 256 * place[2] + place[3]
  if family == 2 then
    return ffi.string(ffi.C.inet_ntop(family, place + 4, text, 64)) .. ":" .. port
  elseif family == 10 then
    return "[" .. ffi.string(ffi.C.inet_ntop(family, place + 8, text, 64)) .. "]:" .. port
  end
end

-- connect(2): to no family (AF_UNSPEC) ends a connection at once, with what is still to be read from it.
local function cut(wire)
  local here, there = wire:match("^(%S+) (%S+)$")
  if not can_cut or not there then return false end
  for fd = 3, 65535 do
    if address_by(ffi.C.getpeername, fd) == there and address_by(ffi.C.getsockname, fd) == here then
      return ffi.C.connect(fd, ffi.new("uint8_t[16]"), 16) == 0
    end
  end
  return false
end

local asks, here = 0, tostring({}):match("0x(%x+)")

local function may_not_go_on(token)
  local file = io.open(ended_in .. token)
  if not file then return false end
  file:close()
  os.remove(ended_in .. token)
  return true
end

function envoy_on_response(handle)
  local route = handle:metadata()
  if not route:get("carried") then return end
  local headers = handle:headers()
  local wire = headers:get(wire_of) or ""
  headers:remove(wire_of)
  local none = wire == refused
  -- Without framing the end of the connection is the end of the answer: it would look whole.
  if not headers:get("content-length") and not headers:get("transfer-encoding") then wire = "" end
  local events = (headers:get("content-type") or ""):lower():find("^%s*text/event%-stream")
  if not none and route:get("finishes") and not events then return end
  local asked, looked, token = handle:timestamp(), 0, nil
  for chunk in handle:bodyChunks() do
    local now = handle:timestamp()
    if none then
      chunk:setBytes("")
    elseif token and now - looked >= look_every then
      looked = now
      if may_not_go_on(token) then
        none = true
        chunk:setBytes("")
        local done, was_cut = pcall(cut, wire)
        if not done or not was_cut then
          -- All behind it stays here: who is asked now never answers. Without it the client can't take what it has for
          -- the whole answer.
          local nobody = {[":method"] = "GET", [":path"] = "/", [":authority"] = "nobody"}
          pcall(function() handle:httpCall("nobody", nobody, "", 86400000) end)
        end
      end
    end
    if not none and now - asked > patience then
      local metadata = handle:streamInfo():dynamicMetadata()
      local mine = metadata:get(known)
      local told = mine and mine.told or metadata:get(asked_filter) or {}
      if told[again] then
        if not token then
          asks = asks + 1
          token = string.format("%s-%x-%x", here, now, asks)
        end
        asked, looked = now, now
        local head = {[":method"] = "GET", [":path"] = "/", [":authority"] = "gateway"}
        head[again] = told[again] .. " " .. token
        handle:httpCall(gateway, head, "", 5000, true)
      end
    end
  end
end
"""
