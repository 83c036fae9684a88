#!lua flags=no-writes
--[[ include: keys
look: one channel at one moment, as it stands in Redis. For people; worker/channel/look.py reads it.

KEYS    none
ARGV 1  channel digest
     2  the most tasks to list, at least 1
Answer  JSON: now, boot, channel (the hash), due (or absent), waiting (tasks), tasks (in order, without payload and
        outcomes)
]]
local ch, tasks = ARGV[1], {}
local fields = { 'n', 'at', 'enqueued_at', 'started_at', 'deadline', 'go_on', 'cancel', 'boot' }
for i, id in ipairs(redis.call('LRANGE', queue_key(ch), 0, tonumber(ARGV[2]) - 1)) do
  tasks[i] = { id = id }
  for j, value in ipairs(redis.call('HMGET', task_key(id), unpack(fields))) do
    if value then tasks[i][fields[j]] = value end
  end
end
return cjson.encode({
  now = server_ms(), boot = server_boot(), channel = read_hash(channel_key(ch)),
  due = tonumber(redis.call('ZSCORE', DUE, ch) or nil), waiting = redis.call('LLEN', queue_key(ch)), tasks = tasks,
})
