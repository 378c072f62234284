-- Return a game as it is now, or false when there is none; its deadline goes with it then.
--
-- KEYS  version, status, participants, order, fallen, logs, deadlines, fighter with <user> for the user
-- ARGV  game
-- returns {version, status, size, 1 when its time is up else 0, attacks made, order, fallen, a row per user
--         of order and then fallen: id, attack, health, rounds, damage_delivered, damage_received}
local version = redis.call('GET', KEYS[1])
if not version then
    redis.call('ZREM', KEYS[7], ARGV[1])
    return false
end
local order = redis.call('LRANGE', KEYS[4], 0, -1)
local fallen = redis.call('LRANGE', KEYS[5], 0, -1)
local fighters = {}
for _, users in ipairs({order, fallen}) do
    for _, user in ipairs(users) do
        local key = string.gsub(KEYS[8], '<user>', user)
        fighters[#fighters + 1] = redis.call('HMGET', key, 'id', 'attack', 'health', 'rounds',
            'damage_delivered', 'damage_received')
    end
end
local deadline = redis.call('ZSCORE', KEYS[7], ARGV[1])
local due = deadline and tonumber(deadline) <= now() and 1 or 0
return {version, redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3]), due, redis.call('LLEN', KEYS[6]),
    order, fallen, fighters}
