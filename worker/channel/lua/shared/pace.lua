-- The fleet's rate: how many digits a second may be sent by all workers together. Needs keys.lua.
-- env: now, rate (the limit that is set, digits a second; 0 for none).
--
-- Digits stand in one line: each takes a ticket, once, and waits until the line has come to it, so that no channel is
-- starved by others that ask more often. The line moves at the lower of the set limit and of what the API was found to
-- take: a throttled answer cuts the rate, accepted digits let it grow again, fast where nothing is known,
-- slowly for a while near the rate that was throttled last. Without throttling for 15 s that rate is forgotten.
--
-- dtmf:pace: rate in force; done (tickets that the line had come to) at (ms; in the future: it stands still until then);
-- next ticket; epoch (tickets of another count for nothing); found (the rate that the API takes), top (the rate that
-- was throttled last), cut_at, grown_at, throttled_at. dtmf:accepted:<s>: digits accepted in that second.

local PACE = 'dtmf:pace'
local FORGET_MS, KEPT_MS, LONGEST_STOP_MS = 15000, 60000, 2000
local LEAST_FOUND = 10
-- A quota that is used up refills bit by bit: what was marked soon after a cut may be throttled for what came before.
local BLIND_MS, BREATH_MS = 200, 60
-- So long without a cut near the rate that was throttled, and the quota is another now.
local SURE_MS = 5000

local function read_pace(env)
  local pace = read_hash(PACE)
  for name, value in pairs(pace) do pace[name] = tonumber(value) end
  if pace.found and pace.throttled_at + FORGET_MS < env.now then pace.found = nil end
  return pace
end

local function write_pace(pace)
  local flat = {}
  for name, value in pairs(pace) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('DEL', PACE)
  if #flat > 0 then
    redis.call('HSET', PACE, unpack(flat))
    redis.call('PEXPIRE', PACE, KEPT_MS)
  end
end

-- Lets the line move at the rate that holds from now on; answers whether anything changed.
local function set_rate(pace, env)
  local rate = env.rate > 0 and env.rate or nil
  if pace.found then rate = rate and math.min(rate, pace.found) or pace.found end
  if rate == pace.rate then return false end
  if not pace.rate then
    pace.epoch, pace.next, pace.done, pace.at = env.now, 0, 0, env.now
  elseif env.now > pace.at then
    pace.done, pace.at = pace.done + (env.now - pace.at) * pace.rate / 1000, env.now
  end
  pace.rate = rate
  return true
end

local function accepted_in(second)
  return tonumber(redis.call('GET', 'dtmf:accepted:' .. second)) or 0
end

-- The API accepted a digit.
local function pace_accepted(env)
  local key = 'dtmf:accepted:' .. math.floor(env.now / 1000)
  if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, 3000) end
  local grown_at = tonumber(redis.call('HGET', PACE, 'grown_at'))
  if not grown_at or grown_at + 50 > env.now then return end
  local pace = read_pace(env)
  if pace.found then
    local near = pace.found > 0.95 * pace.top and pace.found < 1.1 * pace.top and pace.cut_at + SURE_MS > env.now
    pace.found = pace.found * (1 + (near and 0.02 or 0.5) * math.min(env.now - grown_at, 1000) / 1000)
    pace.grown_at = env.now
  else
    pace.top, pace.cut_at, pace.grown_at, pace.throttled_at = nil, nil, nil, nil
  end
  set_rate(pace, env)
  write_pace(pace)
end

-- The API throttled a digit that was marked at this time, and asked for a pause (ms).
local function pace_throttled(env, marked_at, asked)
  local pace = read_pace(env)
  if not pace.found then
    local second = math.floor(env.now / 1000)
    local share = 1 - (env.now % 1000) / 1000
    pace.top = math.max(LEAST_FOUND, accepted_in(second) + accepted_in(second - 1) * share)
    pace.found, pace.cut_at = pace.top * 0.9, env.now
  elseif marked_at >= pace.cut_at + BLIND_MS then
    pace.top = pace.found
    pace.found = math.max(1, pace.found * (env.now - pace.cut_at > 1000 and 0.94 or 0.85))
    pace.cut_at = env.now
  end
  pace.grown_at, pace.throttled_at = env.now, env.now
  set_rate(pace, env)
  -- The whole account is throttled, so the whole line stands still.
  pace.at = math.max(pace.at, env.now + math.min(math.max(asked, BREATH_MS), LONGEST_STOP_MS))
  write_pace(pace)
end

-- How many ms until the line has come to this channel. One that cannot have its turn before its deadline takes no
-- ticket from others.
local function pace_wait(ch, env, deadline)
  if env.rate <= 0 and redis.call('EXISTS', PACE) == 0 then return 0 end
  local pace = read_pace(env)
  local changed = set_rate(pace, env)
  local wait = 0
  if pace.rate then
    local function turn(ticket) return pace.at + (ticket - pace.done) * 1000 / pace.rate end
    local slot = redis.call('HGET', channel_key(ch), 'slot')
    local epoch, ticket = string.match(slot or '', '^(%d+):([%d.]+)$')
    -- One that nobody came for long ago (a pause, a cancelled task) would be one of many that go off at once.
    if not ticket or tonumber(epoch) ~= pace.epoch or turn(tonumber(ticket)) < env.now - 10000 then
      local reached = pace.done + math.max(0, env.now - pace.at) * pace.rate / 1000
      ticket = math.max(pace.next, reached)
      if turn(ticket) >= deadline then return deadline - env.now end
      pace.next, changed = ticket + 1, true
      redis.call('HSET', channel_key(ch), 'slot', string.format('%d:%.6f', pace.epoch, ticket))
    end
    wait = math.max(0, math.ceil(turn(tonumber(ticket)) - env.now))
  end
  if changed then write_pace(pace) end
  return wait
end
