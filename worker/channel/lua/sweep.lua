#!lua flags=allow-oom
--[[ include: keys pace end next
sweep: find channels that nobody serves. A channel is offered again after 1 s, then after twice as long each
time, up to 30 s, so that a fleet without a free slot is not flooded with messages.

KEYS    none
ARGV 1  env: record_ttl, break_ms (ms)
     2  the most channels to look at
Answer  the digests of the channels for which the caller publishes a message
]]
local env, orphans = cjson.decode(ARGV[1]), {}
env.now, env.boot = server_ms(), server_boot()

for _, ch in ipairs(redis.call('ZRANGE', DUE, '-inf', env.now, 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[2]))) do
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
