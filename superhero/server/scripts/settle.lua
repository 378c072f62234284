-- Forget events that are safe; with them a server that stopped or died, once nothing of it is left.
--
-- KEYS  outbox, counters, servers
-- ARGV  server, 1 when it is no longer alive else 0, record ids ...
for i = 3, #ARGV do
    redis.call('HDEL', KEYS[1], ARGV[i])
end
if ARGV[2] == '1' and redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('DEL', KEYS[2])
    redis.call('ZREM', KEYS[3], ARGV[1])
end
return redis.status_reply('OK')
