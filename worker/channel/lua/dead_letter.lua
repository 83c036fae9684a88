#!lua flags=allow-oom
--[[ include: keys
dead_letter: take letters out of the dead ones, for good or back to the end of a list. Each goes in one step, so that
none is lost or put back twice, whoever does the same at the same time.

KEYS    none
ARGV 1  the list to put messages back on; '' to drop them
     2, 3 and so on in pairs: a letter as it stands among the dead ones, the oldest first; its message, '' if it is
        dropped
Answer  for each pair 1 if the letter was there, else 0
]]
local there = {}
for i = 2, #ARGV, 2 do
  there[#there + 1] = redis.call('LREM', DEAD_LETTERS, -1, ARGV[i])
  if there[#there] == 1 and ARGV[1] ~= '' then redis.call('LPUSH', ARGV[1], ARGV[i + 1]) end
end
return there
