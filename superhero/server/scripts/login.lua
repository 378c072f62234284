-- Create a user, or find that it has another token by now, and keep the event of its login.
--
-- KEYS  users, known_users, counters, outbox
-- ARGV  user name, token, public id, events as JSON
-- returns the record ids, or false when the name has another token
local token = redis.call('HGET', KEYS[1], ARGV[1])
if token and token ~= ARGV[2] then
    return false
end
if not token then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
end
return keep(KEYS[3], KEYS[4], cjson.decode(ARGV[4]))
