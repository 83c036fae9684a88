#!lua flags=allow-oom
--[[ include: keys end
cancel: end a task by its producer's wish. A digit that may be on its way cannot be recalled: then the task is
only flagged, and ends before its next digit.

KEYS    none
ARGV 1  env: record_ttl, break_ms (ms), worker
     2  task id
Answer  {DONE} ended now, {REQUESTED} ends before its next digit, {RECORDED, state} had ended before, {NONE} no
        such task
]]
local env, id = cjson.decode(ARGV[1]), ARGV[2]
env.now, env.boot = server_ms(), server_boot()

local state = redis.call('HGET', record_key(id), 'state')
if state then return { 'RECORDED', state } end
local ch = redis.call('HGET', task_key(id), 'ch')
if not ch then return { 'NONE' } end
local channel = read_hash(channel_key(ch))
if channel.task == id then
  redis.call('HSET', task_key(id), 'cancel', 1)
  return { 'REQUESTED' }
end
-- What waits behind the head need not wait for what the head waited for: the sweeper looks at once.
if redis.call('LINDEX', queue_key(ch), 0) == id then redis.call('ZADD', DUE, 'XX', env.now, ch) end
if end_task(env, ch, id, 'cancelled', { error = 'TaskCancelled' }) > 0 then
  break_line(env, ch, id, 'TaskCancelled', false)
end
return { 'DONE' }
