#!lua flags=allow-oom
--[[ include: keys pace end next
claim: a run takes the channel, or goes on with it after a wait or after a lost answer of the server.
At most one token lives on a channel; a mark that is found there is in doubt: its request may be on its way.

KEYS    none
ARGV 1  env: lease, step_wait, rate, record_ttl, break_ms (ms), kid, ak (absent while the run cannot sign), worker,
        stop (true: hand the channel over, unless a mark is open)
     2  channel digest
     3  token, random, one per run
Answer  {BUSY} another run holds the channel, or the answer of next_step (shared/next.lua), a found mark as SEND
        with doubt
]]
local env, ch, token = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]
env.now, env.boot = server_ms(), server_boot()

local key = channel_key(ch)
local channel = read_hash(key)
if has_live_run(channel, env) and channel.token ~= token then return { 'BUSY' } end
if redis.call('EXISTS', queue_key(ch)) == 0 then
  if channel.token then leave_idle(ch, env) end
  return { 'EMPTY' }
end

redis.call('PERSIST', key)
redis.call('HSET', key, 'token', token, 'boot', env.boot, 'lease_until', env.now + env.lease)
redis.call('HDEL', key, 'backoff')
if channel.token ~= token then
  redis.call('HINCRBY', key, 'epoch', 1)
  redis.call('HSET', key, 'worker', env.worker or '', 'since', env.now)
end
if channel.task then return send_answer(ch, env, channel.task, true) end
return next_step(env, ch)
