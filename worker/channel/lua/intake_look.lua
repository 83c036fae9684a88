#!lua flags=no-writes
--[[ include: keys
intake_look: the messages that come next. They stay where they are.

KEYS    none
ARGV 1  most messages
     2  bytes of the largest message that is answered as it stands
     3 and on  lists, the first that is not empty counts
Answer  {list, {message, …}}, the first to be taken first; in place of one that is too large {its sha1, its bytes}. Empty
        if all lists are
]]
local most, largest = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, #ARGV do
  local found = {}
  for place = 1, most do
    local raw = redis.call('LINDEX', ARGV[i], -place)
    if not raw then break end
    found[place] = #raw > largest and { redis.sha1hex(raw), #raw } or raw
  end
  if #found > 0 then return { ARGV[i], found } end
end
return {}
