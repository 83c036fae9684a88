#!lua flags=allow-oom
--[[ include: keys
release: a run lets go of a channel before its marked attempt is settled, for another run to go on with it.
If no copy of the attempt can have been written, by this run or by one before it, the mark goes too: nothing is in
doubt, and the next run marks the digit anew.

KEYS    none
ARGV 1  channel digest
     2  token
     3  ms until the next copy may be sent; 0 if the caller publishes a message for the channel
     4  '1' if no copy can have been written
     5  '1' if a copy of the marked attempt was refused as not executed: a nonce refused later may then be that
        copy's, so the successor must not take it for a digit that was heard
Answer  {HANDED}, or {STALE}: the token is not as stored
]]
local ch, token, pause = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, now = channel_key(ch), server_ms()
local channel = redis.call('HMGET', key, 'token', 'boot')
if channel[1] ~= token or channel[2] ~= server_boot() then return { 'STALE' } end
if ARGV[4] == '1' then
  drop_mark(ch)
  redis.call('HSET', key, 'not_before', now + pause)
elseif ARGV[5] == '1' then
  redis.call('HSET', key, 'throttled', 1)
end
drop_token(ch)
redis.call('ZADD', DUE, now + (pause > 0 and pause or HANDED_MS), ch)
return { 'HANDED' }
