#!lua flags=no-writes
--[[ dump: what the server holds that decides what happens next, and the records.

KEYS    none
Answer  JSON: keys (name of a hash, list, set or sorted set → its contents), boot, records
]]
local read = {
  hash = function(key) return redis.call('HGETALL', key) end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
}
local dump = { keys = {}, boot = redis.call('GET', 'harness:boot'), records = {} }
for _, key in ipairs(redis.call('KEYS', 'dtmf:*')) do
  local contents = read[redis.call('TYPE', key).ok]
  if contents and string.sub(key, 1, 9) ~= 'dtmf:rec:' then dump.keys[key] = contents(key) end
end
for i, entry in ipairs(redis.call('XRANGE', 'dtmf:records', '-', '+')) do
  for j = 1, #entry[2], 2 do
    if entry[2][j] == 'record' then dump.records[i] = entry[2][j + 1] end
  end
end
return cjson.encode(dump)
