#!lua flags=no-writes
--[[ include: keys
status: how a task stands, from its record or from its queue, at one moment.

KEYS    none
ARGV 1  task id
Answer  {RECORDED, record, encrypted answer or ''}, {queued | sending, ch, n, digits settled, enqueued_at,
        deadline, ms to the deadline, tasks ahead on the channel}, or {NONE}
]]
local id = ARGV[1]
local record = redis.call('HMGET', record_key(id), 'record', 'answer')
if record[1] then return { 'RECORDED', record[1], record[2] or '' } end
local task = read_hash(task_key(id))
if not task.ch then return { 'NONE' } end
local ahead = 0
for i, waiting in ipairs(redis.call('LRANGE', queue_key(task.ch), 0, -1)) do
  if waiting == id then ahead = i - 1 break end
end
return {
  task.started_at and 'sending' or 'queued', task.ch, tonumber(task.n), tonumber(task.at) - 1,
  tonumber(task.enqueued_at), tonumber(task.deadline), tonumber(task.deadline) - server_ms(), ahead,
}
