-- Join an open game of a size, or make one: one step, so that no game overfills and no hero is taken twice.
--
-- KEYS  known_users, superheros, open_games(size), players(size), joined, deadlines, then patterns with
--       <game> in the place of the token, as only this step knows which game it will be: members,
--       participants, status, host, heroes_taken, order, version, fighter of the user
-- ARGV  user, size, token for a new game, lobby timeout in s, seconds until any server may start a full game
-- returns {word, game, hero id}: JOINED, FULL (joined as the last), ALREADY JOINED, NO HEROES, UNKNOWN USER
local user, size = ARGV[1], tonumber(ARGV[2])
local open_games, deadlines = KEYS[3], KEYS[6]

local function key(number, game)
    return (string.gsub(KEYS[number], '<game>', game))
end

-- Return a hero's attack and health in whole points as text, or nil for a record that is none.
local function points(hero)
    local ok, record = pcall(cjson.decode, redis.call('HGET', KEYS[2], hero))
    local stats = ok and type(record) == 'table' and record.powerstats
    if type(stats) ~= 'table' or type(stats.attack) ~= 'number' or type(stats.health) ~= 'number' then
        return nil
    end
    return string.format('%.0f', stats.attack), string.format('%.0f', stats.health)
end

if redis.call('HEXISTS', KEYS[1], user) == 0 then
    return {'UNKNOWN USER'}
end

local game
for _, token in ipairs(redis.call('LRANGE', open_games, 0, -1)) do
    if redis.call('GET', key(9, token)) ~= 'OPEN' then
        redis.call('LREM', open_games, 0, token)
    elseif redis.call('SISMEMBER', key(7, token), user) == 1 then
        return {'ALREADY JOINED', token, redis.call('HGET', key(14, token), 'id')}
    else
        game = game or token
    end
end

-- As many different heroes as can be taken, one more than are: one is free.
local hero, attack, health
local heroes = redis.call('HRANDFIELD', KEYS[2], size)
for _, candidate in ipairs(heroes) do
    if not (game and redis.call('SISMEMBER', key(11, game), candidate) == 1) then
        attack, health = points(candidate)
        if attack then
            hero = candidate
            break
        end
    end
end
if #heroes < size or not hero then
    return {'NO HEROES'}
end

if not game then
    game = ARGV[3]
    redis.call('SET', key(8, game), size)
    redis.call('SET', key(9, game), 'OPEN')
    redis.call('SET', key(10, game), user)
    redis.call('RPUSH', KEYS[4], game)
    redis.call('RPUSH', open_games, game)
    redis.call('ZADD', deadlines, now() + tonumber(ARGV[4]), game)
end
redis.call('SADD', key(7, game), user)
redis.call('SADD', key(11, game), hero)
redis.call('RPUSH', key(12, game), user)
redis.call('INCR', key(13, game))
redis.call('HSET', key(14, game), 'id', hero, 'attack', attack, 'health', health,
    'rounds', 0, 'damage_delivered', 0, 'damage_received', 0)
local count = redis.call('SCARD', key(7, game))
redis.call('ZADD', KEYS[5], count, game)
if count < size then
    return {'JOINED', game, hero}
end
redis.call('LREM', open_games, 0, game)
redis.call('ZADD', deadlines, now() + tonumber(ARGV[5]), game)
return {'FULL', game, hero}
