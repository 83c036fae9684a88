-- end_task and break_line: the one way in which a task leaves its queue and becomes a record.
-- Needs keys.lua. env: now, boot, worker (who ends it), record_ttl (ms), break_ms.

-- A broken line is over when it has aged or was acknowledged (resume deletes it).
local function broken_by(channel, env)
  if channel.broken and tonumber(channel.broken_at) + env.break_ms > env.now then return channel.broken end
  return nil
end

local function take_off_queue(ch, id)
  if redis.call('LINDEX', queue_key(ch), 0) == id then
    redis.call('LPOP', queue_key(ch))
  else
    redis.call('LREM', queue_key(ch), 1, id)
  end
end

-- The account of each digit. One without an outcome was not sent, unless the task is older than the server's
-- present boot: then an outcome may have been lost with the server's last writes.
local function account(task, env)
  local open = task.boot == env.boot and 'not_sent' or 'unknown'
  local digits, pressed = {}, 0
  for i = 1, tonumber(task.n) do
    local done = task['d' .. i]
    if done then
      digits[i] = cjson.decode(done)
      pressed = pressed + 1
    elseif task.tried and tonumber(task.at) == i then
      digits[i] = cjson.decode(task.tried)
      digits[i].outcome = task.unsure and 'unknown' or open
      if task.unsure then pressed = pressed + 1 end
    else
      digits[i] = { outcome = open, attempts = 0 }
    end
    digits[i].index = i
  end
  return digits, pressed
end

-- why: code (what the API or the queue says), error (class of error), broken_by (the task that broke the line).
-- Answers how many of the task's digits were sent, or may have been.
local function end_task(env, ch, id, state, why)
  local key = task_key(id)
  local task = read_hash(key)
  local digits, pressed = account(task, env)
  local record = cjson.encode({
    v = 1, id = id, ch = ch, state = state, digits = digits, worker = env.worker,
    code = why.code, error = why.error, broken_by = why.broken_by,
    enqueued_at = tonumber(task.enqueued_at), started_at = tonumber(task.started_at),
    ended_at = env.now, deadline = tonumber(task.deadline), instance_id = task.instance_id,
  })
  take_off_queue(ch, id)
  redis.call('DEL', key, payload_key(id))
  redis.call('DECR', WAITING)
  redis.call('HSET', record_key(id), 'state', state, 'record', record)
  if task.answer then redis.call('HSET', record_key(id), 'answer', task.answer) end
  redis.call('PEXPIRE', record_key(id), env.record_ttl)
  local entry = { 'record', record }
  if task.callbacks then entry[3], entry[4] = 'callbacks', task.callbacks end
  redis.call('XADD', RECORDS, 'MINID', '~', env.now - env.record_ttl, '*', unpack(entry))
  return pressed
end

-- What waits behind a task that failed would type the wrong number: it is cancelled, except for a task that
-- said it goes on; after Gone, every task.
local function break_line(env, ch, id, code, gone)
  redis.call('HSET', channel_key(ch), 'broken', id, 'broken_at', env.now, 'broken_code', code)
  for _, waiting in ipairs(redis.call('LRANGE', queue_key(ch), 0, -1)) do
    if gone or redis.call('HGET', task_key(waiting), 'go_on') ~= '1' then
      end_task(env, ch, waiting, 'cancelled', { code = code, error = 'LineBroken', broken_by = id })
    end
  end
end
