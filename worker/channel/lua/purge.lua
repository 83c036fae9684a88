#!lua flags=allow-oom
--[[ include: keys end
purge: cancel every task that waits on a channel, each with its record. As with cancel, a task whose digit may be on
its way is only flagged, and ends before its next digit; and one of which digits were sent breaks the line. A pause
or a break that the channel has stays.

KEYS    none
ARGV 1  env: record_ttl, break_ms (ms), worker
     2  channel digest
Answer  {tasks that ended now, id of the task that ends before its next digit or '', id of the task that broke the
        line or ''}
]]
local env, ch = cjson.decode(ARGV[1]), ARGV[2]
env.now, env.boot = server_ms(), server_boot()

local marked = redis.call('HGET', channel_key(ch), 'task')
local ended, flagged, breaker = 0, '', ''
for _, id in ipairs(redis.call('LRANGE', queue_key(ch), 0, -1)) do
  if id == marked then
    redis.call('HSET', task_key(id), 'cancel', 1)
    flagged = id
  else
    ended = ended + 1
    if end_task(env, ch, id, 'cancelled', { error = 'TaskCancelled' }) > 0 then breaker = id end
  end
end
-- Last, so that no task of the purge is recorded as cancelled by the break.
if breaker ~= '' then break_line(env, ch, breaker, 'TaskCancelled', false) end
-- The sweeper forgets the channel if no run does.
if flagged == '' then redis.call('ZADD', DUE, 'XX', env.now, ch) end
return { ended, flagged, breaker }
