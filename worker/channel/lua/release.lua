#!lua flags=allow-oom
--[[ include: keys
release: a run lets go of a channel whose mark is still open, for another run to go on with it.

KEYS    none
ARGV 1  channel digest
     2  token
     3  ms until the sweeper should look at the channel
     4  '1' if a copy of the marked attempt was refused as not executed: a nonce refused later may then be that
        copy's, so the successor must not take it for a digit that was heard
Answer  {HANDED}, or {STALE}: the token is not as stored
]]
local ch, token = ARGV[1], ARGV[2]
local key = channel_key(ch)
local channel = redis.call('HMGET', key, 'token', 'boot')
if channel[1] ~= token or channel[2] ~= server_boot() then return { 'STALE' } end
if ARGV[4] == '1' then redis.call('HSET', key, 'throttled', 1) end
drop_token(ch)
redis.call('ZADD', DUE, server_ms() + tonumber(ARGV[3]), ch)
return { 'HANDED' }
