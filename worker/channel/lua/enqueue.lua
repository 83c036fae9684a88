#!lua
--[[ include: keys end
enqueue: append a task to its channel queue. Called by a producer (and later by the intake). No flag allow-oom:
a server whose memory is full refuses new tasks, and finishes those that it has.

KEYS    none (keys are made from the ids; Redis Cluster is not supported)
ARGV 1  env: record_ttl (ms), break_ms, channel_limit, system_limit (waiting tasks)
     2  channel digest
     3  task id
     4  task: n (digits), deadline (absolute ms, or 0), expires_in (ms), lead (ms of pause before the first
        digit), go_on ('1' or '0'), payload (encrypted), instance_id (absent: the worker's own)
Answer  {QUEUED}            appended; a run or the sweeper serves the channel
        {PUBLISH}           appended; the channel was idle, the caller publishes a message for it
        {KNOWN, state}      the id is known: queued, sending or the state of its record; nothing changed
        {EXPIRED}           the deadline has passed already; nothing changed
        {CHANNEL_FULL, n}   so many tasks wait on the channel; nothing changed
        {SYSTEM_FULL, n}    so many tasks wait in all; nothing changed
        {BROKEN, task id, code, ms until the break has aged}   nothing changed
]]
local env, ch, id, task = cjson.decode(ARGV[1]), ARGV[2], ARGV[3], cjson.decode(ARGV[4])
env.now, env.boot = server_ms(), server_boot()

local state = redis.call('HGET', record_key(id), 'state')
if state then return { 'KNOWN', state } end
if redis.call('EXISTS', task_key(id)) == 1 then
  return { 'KNOWN', redis.call('HGET', task_key(id), 'started_at') and 'sending' or 'queued' }
end

local deadline = env.now + task.expires_in
if task.deadline > 0 then deadline = math.min(deadline, task.deadline) end
if deadline <= env.now then return { 'EXPIRED' } end

local waiting = redis.call('LLEN', queue_key(ch))
if waiting >= env.channel_limit then return { 'CHANNEL_FULL', waiting } end
local all_waiting = tonumber(redis.call('GET', WAITING)) or 0
if all_waiting >= env.system_limit then return { 'SYSTEM_FULL', all_waiting } end

local channel = read_hash(channel_key(ch))
local breaker = broken_by(channel, env)
if breaker and task.go_on ~= '1' then
  return { 'BROKEN', breaker, channel.broken_code, tonumber(channel.broken_at) + env.break_ms - env.now }
end

redis.call('HSET', task_key(id), 'ch', ch, 'n', task.n, 'at', 1, 'deadline', deadline, 'lead', task.lead,
  'go_on', task.go_on, 'payload', task.payload, 'boot', env.boot, 'enqueued_at', env.now)
if task.instance_id then redis.call('HSET', task_key(id), 'instance_id', task.instance_id) end
redis.call('RPUSH', queue_key(ch), id)
redis.call('INCR', WAITING)
redis.call('PERSIST', channel_key(ch))
-- NX: a channel that waits keeps its moment. An idle one may have kept a moment of a task that was cancelled.
if waiting == 0 then redis.call('ZREM', DUE, ch) end
redis.call('ZADD', DUE, 'NX', env.now + 1000, ch)
if waiting == 0 and not has_live_run(channel, env) and not channel.paused then return { 'PUBLISH' } end
return { 'QUEUED' }
