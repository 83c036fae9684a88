#!lua
--[[ include: keys end enqueue
intake: take messages of foreign producers off their list, in order, and put their tasks into the channel queues. Who
holds the intake's lease may; at most one in the fleet. Each message is enqueued and taken off in the same step, so
nothing is lost or doubled, whenever the caller dies. No flag allow-oom: with a full memory, messages wait.

KEYS    none
ARGV 1  env: break_ms, record_ttl, lease (ms), channel_limit, system_limit (waiting tasks), dead_limit (dead letters),
        publish_limit (channels)
     2  token of the caller
     3  the list
     4  messages, the oldest first: sha1 of the message; and either ch, task (shared/enqueue.lua) or number (its name
        among dead letters), letter (encrypted message), problem, id (of the task, absent if there is none)
Answer  {STALE} another holds the lease; or {n taken off, channels to publish a message for: publish_limit at the most,
        of the rest the sweepers hear at once}
]]
local env, token, list, messages = cjson.decode(ARGV[1]), ARGV[2], ARGV[3], cjson.decode(ARGV[4])
env.now, env.boot = server_ms(), server_boot()
if redis.call('HGET', INTAKE, 'token') ~= token then return { 'STALE' } end
redis.call('HSET', INTAKE, 'lease_until', env.now + env.lease)

local function refuse(id, refusal)
  redis.call('XADD', REFUSALS, 'MINID', '~', env.now - env.record_ttl, '*', 'id', id, 'refusal', cjson.encode(refusal))
end

local taken, publish = 0, {}
for _, message in ipairs(messages) do
  local raw = redis.call('LINDEX', list, -1)
  if not raw or redis.sha1hex(raw) ~= message.sha1 then break end
  if message.task then
    env.sweep = #publish >= env.publish_limit
    local answer = enqueue_tasks(env, message.ch, { message.task })
    if answer[1] == 'PUBLISH' then
      publish[#publish + 1] = message.ch
    elseif answer[1] ~= 'QUEUED' and answer[1] ~= 'KNOWN' then
      refuse(message.task.id, answer)
    end
  else
    redis.call('LPUSH', DEAD_LETTERS, cjson.encode({
      number = message.number, letter = message.letter, problem = message.problem, id = message.id, at = env.now,
    }))
    redis.call('LTRIM', DEAD_LETTERS, 0, env.dead_limit - 1)
    redis.call('INCR', DEAD_LETTERS .. ':count')
    if message.id and not known_state(message.id) then refuse(message.id, { 'MALFORMED', message.problem }) end
  end
  redis.call('RPOP', list)
  taken = taken + 1
end
return { taken, publish }
