#!lua flags=allow-oom
--[[ include: keys pace end next
sweep: find channels that nobody serves. A channel is offered again after 1 s, then after twice as long each
time, up to 30 s, so that a fleet without a free slot is not flooded with messages.

KEYS    none
ARGV 1  env: record_ttl, break_ms (ms)
     2  the most channels to answer
     3  ms for which they must have been due already
Answer  the digests of the channels that the caller serves, or publishes a message for
]]
local MOST_LOOKED_AT = 200
local env, orphans = cjson.decode(ARGV[1]), {}
env.now, env.boot = server_ms(), server_boot()
local most, due_before = tonumber(ARGV[2]), env.now - tonumber(ARGV[3])

for _, ch in ipairs(redis.call('ZRANGE', DUE, '-inf', due_before, 'BYSCORE', 'LIMIT', 0, MOST_LOOKED_AT)) do
  if #orphans >= most then break end
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
    orphans[#orphans + 1] = ch
  end
end
return orphans
