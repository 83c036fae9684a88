#!lua flags=allow-oom
--[[ include: keys
refuse: the API refused the account or the clock, so every request would fail alike. Requests of the whole fleet pause;
one digit at a time is let through as a probe (shared/next.lua), first soon, then ever later; settle ends the pause
when a probe is accepted.

KEYS    none
ARGV 1  the longest time between two probes (ms)
     2  the API's Code
     3  '1' if the digit that was refused was a probe
     4  ms for which a second alarm with the same Code is not raised
Answer  {ALARM} requests pause from now on: the caller raises the alarm; {KNOWN} somebody raised it before
]]
local longest, code, is_probe, quiet = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local now, refusal = server_ms(), read_hash(REFUSAL)
local delay = tonumber(refusal.delay)
if not delay or is_probe then
  delay = math.min(delay and delay * 2 or 250, longest)
  redis.call('HSET', REFUSAL, 'delay', delay, 'probe_at', now + delay)
end
redis.call('HSETNX', REFUSAL, 'since', now)
redis.call('HSET', REFUSAL, 'code', code)
redis.call('PEXPIRE', REFUSAL, math.max(quiet, 3600000))
-- Alarms outlive the pause, so that an account that is refused now and then raises one, and not one each time.
local alarmed = refusal['alarmed:' .. code]
if alarmed and (refusal.since or tonumber(alarmed) + quiet > now) then return { 'KNOWN' } end
redis.call('HSET', REFUSAL, 'alarmed:' .. code, now)
return { 'ALARM' }
