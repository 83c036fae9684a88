-- next_step: what the run that holds the channel does now. Needs keys.lua, pace.lua and end.lua.
-- env: as for end.lua, and lease, step_wait (the longest wait that a run sits out), rate (see pace.lua), kid and ak
-- (the keys with which this run would sign; none while it has none), stop.
-- Answers {EMPTY}, {HANDED}, {PAUSED}, {LATER, ms}, {WAIT, ms} or {SEND, ...} (see send_answer).

-- A channel whose turn in the line comes later is fetched a little early, and its run waits for the moment itself.
local EARLY_MS = 200

-- {SEND, id, digit, attempt, nonce (its number), signed_at (s), kid, ak, doubt, throttled, probe, ms to the deadline,
-- payload}
local function send_answer(ch, env, id, doubt)
  local mark = redis.call('HMGET', channel_key(ch), 'digit', 'attempt', 'nonce', 'signed_at', 'kid', 'ak', 'throttled',
    'probe')
  local task = redis.call('HMGET', task_key(id), 'deadline', 'boot')
  return {
    'SEND', id, tonumber(mark[1]), tonumber(mark[2]), tonumber(mark[3]), tonumber(mark[4]), mark[5], mark[6],
    (doubt or task[2] ~= env.boot) and 1 or 0, mark[7] and 1 or 0, mark[8] and 1 or 0, tonumber(task[1]) - env.now,
    redis.call('GET', payload_key(id)),
  }
end

local function leave(ch, env, due)
  drop_token(ch)
  redis.call('ZADD', DUE, due, ch)
end

-- An idle channel keeps only what the next task must know: a hold, a pause, a break; and not for ever.
local function leave_idle(ch, env)
  local key = channel_key(ch)
  local channel = read_hash(key)
  drop_token(ch)
  redis.call('ZREM', DUE, ch)
  local keep = math.max(tonumber(channel.hold_until) or 0, tonumber(channel.not_before) or 0, env.now + 1000)
  if channel.broken then keep = math.max(keep, tonumber(channel.broken_at) + env.break_ms) end
  if channel.paused then keep = math.max(keep, env.now + env.record_ttl) end
  redis.call('PEXPIRE', key, keep - env.now)
end

-- Takes tasks off the head of the queue that may not be sent any more; answers the head that may, or nil.
local function sendable_head(env, ch)
  while true do
    local id = redis.call('LINDEX', queue_key(ch), 0)
    if not id then return nil end
    local task = redis.call('HMGET', task_key(id), 'cancel', 'deadline', 'lead_until', 'lead', 'start_at', 'unsure')
    if task[1] then
      local pressed = end_task(env, ch, id, 'cancelled', { error = 'TaskCancelled' })
      if pressed > 0 then break_line(env, ch, id, 'TaskCancelled', false) end
    elseif tonumber(task[2]) <= env.now then
      local error = task[6] and 'TaskUnknown' or 'TaskExpired'
      end_task(env, ch, id, task[6] and 'unknown' or 'expired', { error = error, code = refusal_code() })
      break_line(env, ch, id, error, false)
    else
      return id, tonumber(task[2]), tonumber(task[3]), tonumber(task[4]), tonumber(task[5])
    end
  end
end

-- While the API refuses the account or the clock, requests pause, but for a probe now and then. Channels come back
-- spread out, some 500 a second, so that an outage with thousands of them does not keep the server busy.
local function refusal_wait(ch, env, probe_at)
  if not probe_at or probe_at <= env.now then return 0 end
  local place = tonumber(string.sub(ch, 1, 4), 16) or 0
  return math.ceil(probe_at - env.now + 2 * redis.call('ZCARD', DUE) * place / 65536)
end

-- A refused digit is tried again under the same nonce until the API says that this is used up, or was seen to use up
-- nonces with such a refusal. So there is never more than one nonce under which the API would take a digit, and a
-- server that comes back without its last writes cannot have a digit pressed under an earlier one.
-- Answers the number of the nonce, and whether a copy under it was refused.
local function choose_nonce(id)
  local held = redis.call('HMGET', task_key(id), 'nonce', 'refused')
  local nonce, refused = tonumber(held[1] or 1), held[2]
  if refused and redis.call('SISMEMBER', BURNS, refused) == 1 then
    nonce, refused = nonce + 1, false
    redis.call('HSET', task_key(id), 'nonce', nonce)
    redis.call('HDEL', task_key(id), 'refused')
  end
  return nonce, refused
end

local function next_step(env, ch)
  local key = channel_key(ch)
  local id, deadline, lead_until, lead, start_at = sendable_head(env, ch)
  if not id then
    leave_idle(ch, env)
    return { 'EMPTY' }
  end
  if env.stop then
    leave(ch, env, env.now + HANDED_MS)
    return { 'HANDED' }
  end
  local channel = read_hash(key)
  if channel.paused then
    leave(ch, env, deadline)
    return { 'PAUSED' }
  end
  if not env.kid then
    leave(ch, env, math.min(env.now + 1000, deadline))
    return { 'LATER', 1000 }
  end
  -- The pause in front of a task is its own: it goes with the task if that is cancelled.
  if not lead_until then
    lead_until = math.max(env.now, start_at or 0) + lead
    redis.call('HSET', task_key(id), 'started_at', env.now, 'lead_until', lead_until)
  end
  local wait = math.max(lead_until, tonumber(channel.not_before) or 0, tonumber(channel.hold_until) or 0) - env.now
  local probe_at = tonumber(redis.call('HGET', REFUSAL, 'probe_at'))
  if wait <= 0 then wait = refusal_wait(ch, env, probe_at) end
  local early = 0
  if wait <= 0 then wait, early = pace_wait(ch, env, deadline), EARLY_MS end
  if wait > env.step_wait then
    leave(ch, env, math.min(env.now + wait - early, deadline))
    return { 'LATER', wait }
  elseif wait > 0 then
    return { 'WAIT', wait }
  end
  local place = redis.call('HMGET', task_key(id), 'at', 'next_attempt')
  local nonce, refused = choose_nonce(id)
  if refused then redis.call('HSET', key, 'throttled', 1) end
  redis.call('HSET', key, 'task', id, 'digit', place[1], 'attempt', place[2] or 1, 'nonce', nonce,
    'signed_at', math.floor(env.now / 1000), 'marked_at', env.now, 'kid', env.kid, 'ak', env.ak)
  redis.call('HDEL', key, 'slot')
  if probe_at then
    redis.call('HSET', key, 'probe', 1)
    redis.call('HSET', REFUSAL, 'probe_at', env.now + tonumber(redis.call('HGET', REFUSAL, 'delay')))
  end
  return send_answer(ch, env, id, false)
end
