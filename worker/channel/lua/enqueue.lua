#!lua
--[[ include: keys end enqueue
enqueue: append tasks to their channel queue, all of them or none. Called by a producer. No flag allow-oom: a server
whose memory is full refuses new tasks, and finishes those that it has.

KEYS    none (keys are made from the ids; Redis Cluster is not supported)
ARGV 1  env: break_ms (ms), channel_limit, system_limit (waiting tasks), sweep (shared/enqueue.lua)
     2  channel digest
     3  tasks: a list, see shared/enqueue.lua. One whose id is known is passed over
Answer  {QUEUED}            appended; a run or the sweeper serves the channel
        {PUBLISH}           appended; the channel was idle, the caller publishes a message for it
        {KNOWN, state}      every id is known: queued, sending or the state of the first one's record; nothing changed
        {EXPIRED}           a task's deadline has passed already; nothing changed
        {CHANNEL_FULL, n}   so many tasks wait on the channel; nothing changed
        {SYSTEM_FULL, n}    so many tasks wait in all; nothing changed
        {BROKEN, task id, code, ms until the break has aged}   nothing changed
]]
local env = cjson.decode(ARGV[1])
env.now, env.boot = server_ms(), server_boot()
return enqueue_tasks(env, ARGV[2], cjson.decode(ARGV[3]))
