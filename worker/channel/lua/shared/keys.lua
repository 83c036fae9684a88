-- Names of keys, the server's clock and its boot; shared by every script.

local DUE = 'dtmf:due'
local RECORDS = 'dtmf:records'
local WAITING = 'dtmf:waiting'
local REFUSAL = 'dtmf:refusal'
-- The Codes with which the API was seen to refuse a request and to use up its nonce.
local BURNS = 'dtmf:burns'
local INTAKE = 'dtmf:intake'
local REFUSALS = 'dtmf:refusals'
local DEAD_LETTERS = 'dtmf:dead'

-- When the sweepers look at a channel that was handed over: its message may have died with a worker that stops.
local HANDED_MS = 250

local function channel_key(ch) return 'dtmf:ch:' .. ch end
local function queue_key(ch) return 'dtmf:q:' .. ch end
local function task_key(id) return 'dtmf:t:' .. id end
-- Apart from the task: beside a long value the server keeps every short one at five times its size.
local function payload_key(id) return 'dtmf:p:' .. id end
local function record_key(id) return 'dtmf:rec:' .. id end

-- Every moment in Redis is the server's own clock, in milliseconds.
local function server_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- The server's run_id, and the id of its data's history, which changes when a replica is promoted: a process that was
-- demoted and promoted again may have come back with an older state. Asked for in the script itself, so that no answer
-- of an earlier process of the server, remembered by a client or a proxy, can pass for the present one.
local function server_boot()
  local info = redis.call('INFO', 'server', 'replication')
  local run_id, history = string.match(info, 'run_id:(%w+)'), string.match(info, 'master_replid:(%w+)')
  -- Cut short: beside a long value the server keeps every short one of a hash at five times its size.
  return string.sub(run_id, 1, 20) .. string.sub(history or '', 1, 20)
end

local function read_hash(key)
  local flat = redis.call('HGETALL', key)
  local hash = {}
  for i = 1, #flat, 2 do hash[flat[i]] = flat[i + 1] end
  return hash
end

-- A run is on if its lease lasts and was given by the server as it runs now.
local function has_live_run(channel, env)
  return channel.token and channel.boot == env.boot and tonumber(channel.lease_until) > env.now
end

-- The Code with which the API refuses every request, or nil.
local function refusal_code()
  local refusal = redis.call('HMGET', REFUSAL, 'since', 'code')
  return refusal[1] and refusal[2] or nil
end

local function drop_token(ch)
  redis.call('HDEL', channel_key(ch), 'token', 'lease_until', 'boot', 'worker', 'since')
end

local function drop_mark(ch)
  redis.call('HDEL', channel_key(ch), 'task', 'digit', 'attempt', 'nonce', 'signed_at', 'marked_at', 'kid', 'ak',
    'throttled', 'probe')
end
