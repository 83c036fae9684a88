#!lua flags=allow-oom
--[[ include: keys
beat: renew the leases of the runs of one worker.

KEYS    none
ARGV 1  lease (ms)
     2  channel digest, token; and so on, in pairs
Answer  the digests of the channels that these runs have lost
]]
local lease_until, boot, lost = server_ms() + tonumber(ARGV[1]), server_boot(), {}
for i = 2, #ARGV, 2 do
  local channel = redis.call('HMGET', channel_key(ARGV[i]), 'token', 'boot')
  if channel[1] == ARGV[i + 1] and channel[2] == boot then
    redis.call('HSET', channel_key(ARGV[i]), 'lease_until', lease_until)
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
