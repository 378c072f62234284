-- Return the hero of a participant who is asked for by its public id or by its secret token.
--
-- KEYS  participants, fighter under the token as it is, fighter under the public id made from it
-- returns nothing for an unknown game, {} for nobody in it, else {id, attack, health}
if redis.call('EXISTS', KEYS[1]) == 0 then
    return false
end
for i = 2, 3 do
    local hero = redis.call('HMGET', KEYS[i], 'id', 'attack', 'health')
    if hero[1] then
        return hero
    end
end
return {}
