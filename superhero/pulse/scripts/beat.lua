-- A process says that it lives, what it has to say, and how far its producers have come.
-- KEYS: totals, attempted, written, aside, producers; processes, this process
-- ARGV: account id for a new account, seconds to keep it, most producers, process, seconds until it counts as
--       gone, its JSON ('' when it ends), and as JSON: producers ({producer: next number}), counts, vouched
-- vouched ({producer: number}): what went before, and what a former account knew of; it counts as written.
-- Returns the account's id, so that whoever finds another than last time can vouch for what went before.

local account = {KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]}
local totals, attempted, written, aside, producers = unpack(account)
local processes, process = KEYS[6], KEYS[7]
local now, told = now_s(), cjson.decode(ARGV[7])

-- Whoever ends when there is no account begins none: perhaps the database is somebody else's by now.
if ARGV[6] == '' and redis.call('EXISTS', totals) == 0 then return '' end
redis.call('HSETNX', totals, 'account', ARGV[1])
for producer, number in pairs(told.producers) do
  raise(attempted, producer, number)
  redis.call('ZADD', producers, now, producer)
end
for producer, number in pairs(told.vouched) do
  if number > 0 then merge(written, producer, 0, number) end
end
for name, count in pairs(told.counts) do redis.call('HINCRBY', totals, name, count) end
if ARGV[6] == '' then
  redis.call('DEL', process)
  redis.call('ZREM', processes, ARGV[4])
else
  redis.call('SET', process, ARGV[6], 'EX', ARGV[5])
  redis.call('ZADD', processes, now, ARGV[4])
end
redis.call('ZREMRANGEBYSCORE', processes, '-inf', now - 3600)
redis.call('EXPIRE', processes, ARGV[2])
tidy(account, ARGV[2], tonumber(ARGV[3]))
return redis.call('HGET', totals, 'account')
