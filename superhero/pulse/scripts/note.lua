-- A worker notes what became of a batch. Noted twice, under the same number of the same noter, counts once.
-- KEYS: totals, attempted, written, aside, producers, folded; the noter's latest number
-- ARGV: account id for a new account, seconds to keep it, most producers, number, and as JSON:
--       sink, worker, written and aside ([[producer, from, to], ...]), counts ({name: how many})
-- Returns how many records were not known as written.

local account = {KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]}
local totals, attempted, written, aside, producers = unpack(account)
local number, told = tonumber(ARGV[4]), cjson.decode(ARGV[5])

if number <= tonumber(redis.call('GET', KEYS[7]) or '-1') then return 0 end
redis.call('SET', KEYS[7], ARGV[4], 'EX', ARGV[2])

-- An account is of one sink: where workers write elsewhere, another begins.
local before = redis.call('HGET', totals, 'sink')
if before and before ~= told.sink then redis.call('DEL', unpack(account)) end
redis.call('HSET', totals, 'sink', told.sink)
redis.call('HSETNX', totals, 'account', ARGV[1])

local now, new, came = now_s(), 0, 0
for kind, hash in pairs({written = written, aside = aside}) do
  for _, span in ipairs(told[kind]) do
    local producer, from, to = unpack(span)
    unfold(account, producer)
    local fresh = merge(hash, producer, from, to)
    if kind == 'written' then
      new, came = new + fresh, came + to - from
    end
    raise(attempted, producer, to)
    redis.call('ZADD', producers, now, producer)
  end
end
redis.call('HINCRBY', totals, 'again', came - new)
redis.call('HINCRBY', totals, 'written:' .. told.worker, new)
for name, count in pairs(told.counts) do redis.call('HINCRBY', totals, name, count) end
tidy(account, ARGV[2], tonumber(ARGV[3]))
return new
