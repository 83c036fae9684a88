#!lua flags=no-writes
--[[ include: keys
refusal: whether requests pause because the API refuses the account or the clock.

KEYS    none
Answer  {} they do not; {code, ms since they do}
]]
local code = refusal_code()
return code and { code, server_ms() - tonumber(redis.call('HGET', REFUSAL, 'since')) } or {}
