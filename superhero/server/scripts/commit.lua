-- Commit one step of a game, whole or not at all: its state, what it makes of its players' ratings, its
-- events, and the word to all lobbies.
--
-- KEYS  version, status, order, fallen, logs, deadlines, open_games(size), feed, counters, outbox, ratings,
--       and a fighter for each row of step.fighters
-- ARGV  game, the version the step was made from, step as JSON {status, order, fallen, fighters: [field,
--       value, ...] each, ratings: [user, rating before or '', rating after] each, log: text or null,
--       deadline_s: seconds from now or null, events, feed: text}, the Arena's channel
-- returns the record ids of the events, or false when somebody else committed a step since, or another
-- game of one of its players ended and changed a rating
if redis.call('GET', KEYS[1]) ~= ARGV[2] then
    return false
end
local game, step = ARGV[1], cjson.decode(ARGV[3])
for _, rated in ipairs(step.ratings) do
    if (redis.call('HGET', KEYS[11], rated[1]) or '') ~= rated[2] then
        return false
    end
end

local function replace(key, values)
    redis.call('DEL', key)
    if #values > 0 then
        redis.call('RPUSH', key, unpack(values))
    end
end

redis.call('INCR', KEYS[1])
redis.call('SET', KEYS[2], step.status)
replace(KEYS[3], step.order)
replace(KEYS[4], step.fallen)
for i, row in ipairs(step.fighters) do
    redis.call('HSET', KEYS[11 + i], unpack(row))
end
for _, rated in ipairs(step.ratings) do
    redis.call('HSET', KEYS[11], rated[1], rated[3])
end
if step.log ~= cjson.null then
    redis.call('RPUSH', KEYS[5], step.log)
end
if step.deadline_s ~= cjson.null then
    redis.call('ZADD', KEYS[6], now() + step.deadline_s, game)
else
    redis.call('ZREM', KEYS[6], game)
end
redis.call('LREM', KEYS[7], 0, game)
redis.call('PUBLISH', KEYS[8], step.feed)
-- For the Arena, on whichever server it is watched: ["<game>", event, ...].
local told = {cjson.encode(game)}
for i, event in ipairs(step.events) do
    told[i + 1] = event.entry
end
redis.call('PUBLISH', ARGV[4], '[' .. table.concat(told, ',') .. ']')
return keep(KEYS[9], KEYS[10], step.events)
