#!lua flags=allow-oom
--[[ include: keys
pause: send nothing more on a channel until resume; a digit that is on its way is settled. Deadlines go on.

KEYS    none
ARGV 1  channel digest
     2  ms for which a pause of an idle channel is kept
Answer  the number of tasks that wait
]]
local key = channel_key(ARGV[1])
local waiting = redis.call('LLEN', queue_key(ARGV[1]))
redis.call('HSET', key, 'paused', server_ms())
if waiting == 0 then redis.call('PEXPIRE', key, ARGV[2]) end
return waiting
