#!lua
--[[ pass_time: set the harness's clock, and delete what has expired by it.

KEYS    none
ARGV 1  the time (ms)
]]
local now = tonumber(ARGV[1])
redis.call('SET', 'harness:now', ARGV[1])
for _, key in ipairs(redis.call('KEYS', 'dtmf:*')) do
  local expires = redis.call('PEXPIRETIME', key)
  if expires > 0 and expires <= now then redis.call('DEL', key) end
end
