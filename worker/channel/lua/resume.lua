#!lua flags=allow-oom
--[[ include: keys
resume: end a pause, and acknowledge a break, of a channel.

KEYS    none
ARGV 1  channel digest
Answer  {PUBLISH} tasks wait and no run is on: the caller publishes a message; {QUEUED} a run is on; {IDLE}
        nothing waits
]]
local ch = ARGV[1]
local key = channel_key(ch)
redis.call('HDEL', key, 'paused', 'broken', 'broken_at', 'broken_code')
if redis.call('EXISTS', queue_key(ch)) == 0 then return { 'IDLE' } end
if has_live_run(read_hash(key), { now = server_ms(), boot = server_boot() }) then return { 'QUEUED' } end
redis.call('ZADD', DUE, server_ms() + 1000, ch)
return { 'PUBLISH' }
