#!lua flags=allow-oom
--[[ include: keys pace end next
sweep: find channels that nobody serves. A channel is offered again after 1 s, then after twice as long each
time, up to 30 s, so that a fleet without a free slot is not flooded with messages.

KEYS    none
ARGV 1  env: record_ttl, break_ms (ms)
     2  the most channels to answer
     3  ms for which they must have been due already
Answer  {left, in line}, two lists of digests. Left: their run is over, dead or waited long enough, and no message is
        on its way. In line: they had no run yet, or were offered before, so that a message may wait for them
]]
local MOST_LOOKED_AT = 200
local env, left, in_line = cjson.decode(ARGV[1]), {}, {}
env.now, env.boot = server_ms(), server_boot()
local most, due_before = tonumber(ARGV[2]), env.now - tonumber(ARGV[3])

for _, ch in ipairs(redis.call('ZRANGE', DUE, '-inf', due_before, 'BYSCORE', 'LIMIT', 0, MOST_LOOKED_AT)) do
  if #left + #in_line >= most then break end
  local key = channel_key(ch)
  local channel = read_hash(key)
  if has_live_run(channel, env) then
    redis.call('ZADD', DUE, channel.lease_until, ch)
  elseif redis.call('EXISTS', queue_key(ch)) == 0 then
    leave_idle(ch, env) -- its last task was cancelled, and no run came since
  else
    local backoff = tonumber(channel.backoff) or 1000
    redis.call('HSET', key, 'backoff', math.min(backoff * 2, 30000))
    redis.call('ZADD', DUE, env.now + backoff, ch)
    local list = (channel.backoff or not channel.epoch) and in_line or left
    list[#list + 1] = ch
  end
end
return { left, in_line }
