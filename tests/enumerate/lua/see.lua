#!lua flags=no-writes
--[[ see: all that the invariants are about, at one moment.

KEYS    none
ARGV    ids of tasks
Answer  JSON: channels (digest → the hash, the queue, due), waiting, due (the next of all, or absent), records (how many
        in the stream), burns (Codes), tasks (id → task, payload, record: whether each is there)
]]
local seen = { channels = {}, tasks = {}, records = redis.call('XLEN', 'dtmf:records') }
seen.due = tonumber(redis.call('ZRANGE', 'dtmf:due', 0, 0, 'WITHSCORES')[2] or nil)
seen.burns = redis.call('SMEMBERS', 'dtmf:burns')
seen.waiting = tonumber(redis.call('GET', 'dtmf:waiting') or 0)

local function see_channel(ch)
  if seen.channels[ch] then return end
  local flat, hash = redis.call('HGETALL', 'dtmf:ch:' .. ch), {}
  for i = 1, #flat, 2 do hash[flat[i]] = flat[i + 1] end
  seen.channels[ch] = {
    hash = hash, queue = redis.call('LRANGE', 'dtmf:q:' .. ch, 0, -1),
    due = tonumber(redis.call('ZSCORE', 'dtmf:due', ch) or nil),
  }
end

for _, key in ipairs(redis.call('KEYS', 'dtmf:ch:*')) do see_channel(string.sub(key, 9)) end
for _, key in ipairs(redis.call('KEYS', 'dtmf:q:*')) do see_channel(string.sub(key, 8)) end
for _, id in ipairs(ARGV) do
  seen.tasks[id] = {
    task = redis.call('EXISTS', 'dtmf:t:' .. id) == 1, record = redis.call('EXISTS', 'dtmf:rec:' .. id) == 1,
    payload = redis.call('EXISTS', 'dtmf:p:' .. id) == 1,
  }
end
return cjson.encode(seen)
