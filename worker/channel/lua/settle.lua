#!lua flags=allow-oom
--[[ include: keys pace end next
settle: the verdict on the marked attempt, and in the same step what comes next on the channel.
The mark it names is the guard: a verdict that comes twice, late or from a run that lost the channel changes
nothing. So a caller whose answer was lost may send the same call again.

KEYS    none
ARGV 1  env: as for claim
     2  channel digest
     3  token
     4  mark: task, digit, attempt
     5  verdict: is (ok | presumed | retry | unknown | failed | expired), pause (ms: ok and presumed, until the
        next digit; retry, until the next attempt; unknown, how long the attempt may still be executed),
        throttled (the ms that the API asked to pause, because the account's quota is used up), nonce_used (true: of a
        retry, the API has used up the nonce), undetermined (true: of a retry, the attempt may have been executed),
        gone (true: the call is gone), code, error (class), http_status, request_id, answer (encrypted)
Answer  {STALE} token or mark are not as stored; or the answer of next_step (shared/next.lua)
]]
local env, ch, token = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]
local mark, verdict = cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
env.now, env.boot = server_ms(), server_boot()

local key = channel_key(ch)
local channel = read_hash(key)
if channel.token ~= token or channel.boot ~= env.boot or channel.task ~= mark.task
  or tonumber(channel.digit) ~= mark.digit or tonumber(channel.attempt) ~= mark.attempt then
  return { 'STALE' }
end

local function note(outcome)
  return cjson.encode({
    outcome = outcome, attempts = mark.attempt, request_id = verdict.request_id, code = verdict.code,
    http_status = verdict.http_status, started_at = tonumber(channel.marked_at), ended_at = env.now,
  })
end

local function end_and_break(state, error)
  end_task(env, ch, mark.task, state, { code = verdict.code, error = error })
  break_line(env, ch, mark.task, verdict.code or error, verdict.gone)
end

-- What was refused under the present nonce (next.lua chooses the next one): its Code, '*' for several.
local function note_refusal(task)
  local refused = redis.call('HGET', task, 'refused')
  if not verdict.nonce_used then
    local sole = not refused or refused == verdict.code
    redis.call('HSET', task, 'refused', sole and verdict.code or '*')
    return
  end
  if refused and refused ~= '*' then
    redis.call('SADD', BURNS, refused)
    redis.call('PEXPIRE', BURNS, env.record_ttl)
  end
  redis.call('HSET', task, 'nonce', tonumber(channel.nonce) + 1)
  redis.call('HDEL', task, 'refused')
end

local known = { ok = true, presumed = true, failed = true }
-- A probe that was taken, or refused for a reason of its own, shows that account and clock are right again.
if channel.probe and (known[verdict.is] or verdict.nonce_used) then
  redis.call('HDEL', REFUSAL, 'since', 'delay', 'probe_at')
end

if verdict.throttled then pace_throttled(env, tonumber(channel.marked_at), verdict.throttled) end
if verdict.is == 'ok' or verdict.is == 'presumed' then pace_accepted(env) end

local task = task_key(mark.task)
drop_mark(ch)
redis.call('HSET', key, 'lease_until', env.now + env.lease)
if verdict.answer then redis.call('HSET', task, 'answer', verdict.answer) end

if verdict.is == 'ok' or verdict.is == 'presumed' then
  redis.call('HSET', task, 'd' .. mark.digit, note(verdict.is == 'ok' and 'sent' or 'presumed'), 'at', mark.digit + 1)
  redis.call('HDEL', task, 'tried', 'next_attempt', 'nonce', 'refused', 'unsure')
  if verdict.is == 'presumed' then redis.call('HSET', task, 'presumed', 1) end
  redis.call('HSET', key, 'not_before', env.now + verdict.pause)
  if mark.digit == tonumber(redis.call('HGET', task, 'n')) then
    local state = redis.call('HEXISTS', task, 'presumed') == 1 and 'presumed' or 'sent'
    end_task(env, ch, mark.task, state, {})
  end
elseif verdict.is == 'retry' then
  redis.call('HSET', task, 'tried', note('not_sent'), 'next_attempt', mark.attempt + 1)
  if verdict.undetermined then redis.call('HSET', task, 'unsure', 1) end
  note_refusal(task)
  redis.call('HSET', key, 'not_before', env.now + verdict.pause)
elseif verdict.is == 'unknown' then
  redis.call('HSET', task, 'd' .. mark.digit, note('unknown'))
  redis.call('HSET', key, 'hold_until', env.now + verdict.pause)
  end_and_break('unknown', verdict.error)
elseif verdict.is == 'failed' then
  -- An attempt before this one may have been executed, and failed with an internal error.
  local unsure = redis.call('HEXISTS', task, 'unsure') == 1
  local state = unsure and 'unknown' or 'failed'
  redis.call('HSET', task, 'd' .. mark.digit, note(state))
  end_and_break(state, unsure and 'TaskUnknown' or verdict.error)
end
-- What is left: expired, of an attempt of which no copy was written. A run counts its deadline from before it asked the
-- server, and so ends early when the answer was slow: next_step ends the task, or marks the attempt anew.
return next_step(env, ch)
