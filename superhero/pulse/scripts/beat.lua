-- A process says that it lives, what it has to say, and how far its producers have come.
-- KEYS: totals, attempted, written, aside, producers, folded; processes, this process
-- ARGV: account id for a new account, seconds to keep it, most producers, process, seconds until it counts as
--       gone, its JSON ('' when it ends), and as JSON: producers ({producer: next number}), counts, vouched
-- vouched ({producer: number}): what went before, and what a former account knew of; it counts as written.
-- Returns the account's id, so that whoever finds another than last time can vouch for what went before.

local MOST_WORKERS = 100

local account = {KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]}
local totals, attempted, written, aside, producers = unpack(account)
local processes, process = KEYS[7], KEYS[8]
local now, told = now_s(), cjson.decode(ARGV[7])

-- Where hosts come and go every worker has a new name; of those that are gone only the sum is kept, then.
local function fold_workers()
  local fields, alive = {}, {}
  for _, field in ipairs(redis.call('HKEYS', totals)) do
    if string.sub(field, 1, 8) == 'written:' then fields[#fields + 1] = field end
  end
  if #fields <= MOST_WORKERS then return end
  local prefix = string.sub(process, 1, -#ARGV[4] - 1)
  for _, each in ipairs(redis.call('ZRANGE', processes, 0, -1)) do
    local said = redis.call('GET', prefix .. each)
    if said then alive['written:' .. cjson.decode(said).name] = true end
  end
  if ARGV[6] ~= '' then alive['written:' .. cjson.decode(ARGV[6]).name] = true end
  for _, field in ipairs(fields) do
    if not alive[field] then
      redis.call('HINCRBY', totals, 'folded:workers', redis.call('HGET', totals, field))
      redis.call('HDEL', totals, field)
    end
  end
end

-- Whoever ends when there is no account begins none: perhaps the database is somebody else's by now.
if ARGV[6] == '' and redis.call('EXISTS', totals) == 0 then return '' end
redis.call('HSETNX', totals, 'account', ARGV[1])
if not redis.call('ZSCORE', processes, ARGV[4]) then fold_workers() end
for producer, number in pairs(told.producers) do
  unfold(account, producer)
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
