-- Stands before every script.

-- Unix time in seconds, by the clock of the Redis server: the only clock all servers share.
local function now()
    local time = redis.call('TIME')
    return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Give each event the next record id of its producer and put it into the outbox; return the ids.
--
-- An event is {producer, floor, entry}. `floor` is the lowest number that its server knows to be unused: a
-- Redis that lost its last second, or everything, must not give the same id to another event.
local function keep(counters, outbox, events)
    local ids = {}
    for i, event in ipairs(events) do
        local known = tonumber(redis.call('HGET', counters, event.producer) or '0')
        local sequence = math.max(known, event.floor)
        redis.call('HSET', counters, event.producer, string.format('%.0f', sequence + 1))
        ids[i] = string.format('%s:%.0f', event.producer, sequence)
        redis.call('HSET', outbox, ids[i], event.entry)
    end
    return ids
end
