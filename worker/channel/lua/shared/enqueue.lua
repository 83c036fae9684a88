-- enqueue_tasks: the one way in which tasks come into a channel queue: all of them or none. Needs keys.lua and end.lua.
-- env: now, boot, break_ms, channel_limit, system_limit (waiting tasks), sweep (the caller publishes nothing: the
-- sweepers are to look at an idle channel at once).
-- A task: id, n (digits), deadline (absolute ms, or 0), expires_in (ms), start_at (absolute ms before which no digit is
-- sent, or 0), lead (ms of pause before the first digit), go_on ('1' or '0'), payload (encrypted), instance_id (absent:
-- the worker's own), callbacks (encrypted; absent: none).

local function known_state(id)
  local state = redis.call('HGET', record_key(id), 'state')
  if state then return state end
  if redis.call('EXISTS', task_key(id)) == 0 then return nil end
  return redis.call('HGET', task_key(id), 'started_at') and 'sending' or 'queued'
end

local function deadline_of(env, task)
  local deadline = env.now + task.expires_in
  return task.deadline > 0 and math.min(deadline, task.deadline) or deadline
end

-- Why these tasks cannot be appended, or nil.
local function refusal_of(env, ch, channel, tasks)
  local breaker, waiting = broken_by(channel, env), redis.call('LLEN', queue_key(ch))
  local all_waiting = tonumber(redis.call('GET', WAITING)) or 0
  for _, task in ipairs(tasks) do
    if deadline_of(env, task) <= env.now then return { 'EXPIRED' } end
  end
  if waiting + #tasks > env.channel_limit then return { 'CHANNEL_FULL', waiting } end
  if all_waiting + #tasks > env.system_limit then return { 'SYSTEM_FULL', all_waiting } end
  for _, task in ipairs(tasks) do
    if breaker and task.go_on ~= '1' then
      return { 'BROKEN', breaker, channel.broken_code, tonumber(channel.broken_at) + env.break_ms - env.now }
    end
  end
end

local function append(env, ch, task)
  local key = task_key(task.id)
  redis.call('HSET', key, 'ch', ch, 'n', task.n, 'at', 1, 'deadline', deadline_of(env, task), 'lead', task.lead,
    'go_on', task.go_on, 'boot', env.boot, 'enqueued_at', env.now)
  redis.call('SET', payload_key(task.id), task.payload)
  if task.start_at > 0 then redis.call('HSET', key, 'start_at', task.start_at) end
  if task.callbacks then redis.call('HSET', key, 'callbacks', task.callbacks) end
  if task.instance_id then redis.call('HSET', key, 'instance_id', task.instance_id) end
  redis.call('RPUSH', queue_key(ch), task.id)
  redis.call('INCR', WAITING)
end

-- Answers as enqueue.lua says.
local function enqueue_tasks(env, ch, tasks)
  local new, state, seen = {}, nil, {}
  for _, task in ipairs(tasks) do
    local known = seen[task.id] or known_state(task.id)
    state = state or known
    if not known then new[#new + 1] = task end
    seen[task.id] = 'queued'
  end
  if #new == 0 then return { 'KNOWN', state } end
  local channel = read_hash(channel_key(ch))
  local refusal = refusal_of(env, ch, channel, new)
  if refusal then return refusal end
  local idle = redis.call('EXISTS', queue_key(ch)) == 0
  for _, task in ipairs(new) do append(env, ch, task) end
  redis.call('PERSIST', channel_key(ch))
  -- NX: a channel that waits keeps its moment. An idle one may have kept a moment of a task that was cancelled.
  if idle then redis.call('ZREM', DUE, ch) end
  redis.call('ZADD', DUE, 'NX', env.now + 1000, ch)
  local waits = idle and not has_live_run(channel, env) and not channel.paused
  if waits and not env.sweep then return { 'PUBLISH' } end
  if waits then redis.call('ZADD', DUE, env.now, ch) end
  return { 'QUEUED' }
end
