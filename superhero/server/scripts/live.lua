-- Give a sign of life for a server and those whose events it has taken over, and take over one that is dead.
-- Taking over counts as a sign of life, so that no two servers take the same one at a time.
--
-- KEYS  servers
-- ARGV  seconds without a sign of life after which a server is dead, servers that live ...
-- returns the dead one, or false when there is none
local time = now()
for i = 2, #ARGV do
    redis.call('ZADD', KEYS[1], time, ARGV[i])
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time - tonumber(ARGV[1]), 'LIMIT', 0, 1)[1]
if dead then
    redis.call('ZADD', KEYS[1], time, dead)
end
return dead or false
