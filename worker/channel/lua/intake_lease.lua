#!lua flags=allow-oom
--[[ include: keys
intake_lease: become, remain or cease to be the one intake of the fleet.

KEYS    none
ARGV 1  token of the caller
     2  lease (ms); 0 to let go
     3  name of the worker, for people
Answer  {HELD} the caller is the intake; {BUSY} another is; {FREE} let go
]]
local now, boot = server_ms(), server_boot()
local lease, token = redis.call('HMGET', INTAKE, 'token', 'lease_until', 'boot'), ARGV[1]
local is_mine = lease[1] == token
if ARGV[2] == '0' then
  if is_mine then redis.call('DEL', INTAKE) end
  return { 'FREE' }
end
if not is_mine and lease[1] and lease[3] == boot and tonumber(lease[2]) > now then return { 'BUSY' } end
redis.call('HSET', INTAKE, 'token', token, 'lease_until', now + tonumber(ARGV[2]), 'boot', boot, 'worker', ARGV[3])
return { 'HELD' }
