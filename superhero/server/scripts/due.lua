-- Return what must be looked at now, and how long the next may wait.
--
-- KEYS  deadlines
-- ARGV  how many games at most
-- returns {milliseconds until the next deadline or -1 when there is none, game, game, ...}
local time = now()
local games = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time, 'LIMIT', 0, ARGV[1])
local following = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.6f', time), '+inf', 'WITHSCORES',
    'LIMIT', 0, 1)
local wait_ms = following[2] and math.ceil((tonumber(following[2]) - time) * 1000) or -1
return {wait_ms, unpack(games)}
