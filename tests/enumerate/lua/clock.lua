-- Put in front of each of the worker's scripts: the clock and the boot are the harness's. That clock stands in another
-- century, so that no key expires by itself: what has expired by it, pass_time.lua deletes. Where harness:line is empty,
-- the fleet's rate (dtmf:pace) is not kept, and throttling cuts none.
local server = redis
local redis = { sha1hex = server.sha1hex }

local function harness_ms() return tonumber(server.call('GET', 'harness:now')) end

local no_rate = { HGETALL = {}, HGET = false }

local function is_left_out(key) return key == 'dtmf:pace' and server.call('GET', 'harness:line') == '' end

function redis.call(command, ...)
  if is_left_out(...) then
    local answer = no_rate[command]
    return answer == nil and 0 or answer
  elseif command == 'TIME' then
    local ms = harness_ms()
    return { string.format('%d', math.floor(ms / 1000)), string.format('%d', ms % 1000 * 1000) }
  elseif command == 'INFO' then
    return 'run_id:' .. server.call('GET', 'harness:boot')
  elseif command == 'PEXPIRE' then
    local key, ms = ...
    return server.call('PEXPIREAT', key, string.format('%d', harness_ms() + tonumber(ms)))
  elseif command == 'XADD' then
    local arguments = { ... }
    for i, argument in ipairs(arguments) do
      if argument == '*' then arguments[i] = string.format('%d-*', harness_ms()) end
    end
    return server.call('XADD', unpack(arguments))
  end
  return server.call(command, ...)
end
