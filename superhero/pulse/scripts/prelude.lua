-- Before every other script. Spans are the text "0,1000,2000,2500": the numbers 0 to 999 and 2000 to 2499.
-- A producer whose numbers are scattered over more than MOST_SPANS of them is only counted: "~1500".

local MOST_SPANS = 512
local FOLDED_TIMES = 20
local BEHIND_S = 10 ^ 11

local function total(text)
  if not text then return 0 end
  if string.sub(text, 1, 1) == '~' then return tonumber(string.sub(text, 2)) end
  local sum, sign = 0, -1
  for number in string.gmatch(text, '%d+') do
    sum = sum + sign * tonumber(number)
    sign = -sign
  end
  return sum
end

-- Put the numbers from `from` to before `to` into a producer's spans; return how many were not there yet.
local function merge(hash, producer, from, to)
  local text = redis.call('HGET', hash, producer)
  if not text then
    redis.call('HSET', hash, producer, string.format('%d,%d', from, to))
    return to - from
  end
  if string.sub(text, 1, 1) == '~' then
    redis.call('HSET', hash, producer, string.format('~%d', total(text) + to - from))
    return to - from
  end
  local spans = {}
  for number in string.gmatch(text, '%d+') do spans[#spans + 1] = tonumber(number) end
  -- Most come at the end, so look from there: past those behind us, then over those that touch us.
  local last = #spans - 1
  while last >= 1 and spans[last] > to do last = last - 2 end
  local first, low, high, new = last, from, to, to - from
  while first >= 1 and spans[first + 1] >= from do
    new = new - math.max(math.min(to, spans[first + 1]) - math.max(from, spans[first]), 0)
    low, high = math.min(low, spans[first]), math.max(high, spans[first + 1])
    first = first - 2
  end
  local merged = {}
  for at = 1, first + 1 do merged[#merged + 1] = string.format('%d', spans[at]) end
  merged[#merged + 1] = string.format('%d', low)
  merged[#merged + 1] = string.format('%d', high)
  for at = last + 2, #spans do merged[#merged + 1] = string.format('%d', spans[at]) end
  local after = table.concat(merged, ',')
  if #merged > 2 * MOST_SPANS then after = string.format('~%d', total(after)) end
  redis.call('HSET', hash, producer, after)
  return new
end

local function raise(hash, producer, number)
  if number > tonumber(redis.call('HGET', hash, producer) or '0') then
    redis.call('HSET', hash, producer, string.format('%d', number))
  end
end

-- Count a producer one by one again that was folded, as it comes once more.
local function unfold(account, producer)
  local totals, attempted, written, aside, _, folded = unpack(account)
  local text = redis.call('HGET', folded, producer)
  if not text then return end
  redis.call('HDEL', folded, producer)
  local was = cjson.decode(text)
  redis.call('HSET', attempted, producer, was[1])
  redis.call('HINCRBY', totals, 'folded:attempted', string.format('%d', -tonumber(was[1])))
  for at, kind in ipairs({'written', 'aside'}) do
    local spans = was[at + 1]
    if spans ~= '' then
      redis.call('HSET', account[at + 2], producer, spans)
      redis.call('HINCRBY', totals, 'folded:' .. kind, string.format('%d', -total(spans)))
    end
  end
end

-- Of a folded producer there is little room.
local function brief(spans)
  return #spans <= 200 and spans or string.format('~%d', total(spans))
end

-- Keep the account as long as anybody has to do with it, and of its producers the latest; older ones are folded
-- into sums. Those stand before all others among the producers, and are known until there are far more of them.
local function tidy(account, kept_s, most)
  local totals, attempted, written, aside, producers, folded = unpack(account)
  while redis.call('ZCARD', producers) - redis.call('HLEN', folded) > most do
    local oldest = redis.call('HLEN', folded)
    local producer, at = unpack(redis.call('ZRANGE', producers, oldest, oldest, 'WITHSCORES'))
    local number = redis.call('HGET', attempted, producer) or '0'
    local spans = redis.call('HGET', written, producer) or ''
    local set_aside = redis.call('HGET', aside, producer) or ''
    redis.call('HINCRBY', totals, 'folded:attempted', number)
    redis.call('HINCRBY', totals, 'folded:written', total(spans))
    redis.call('HINCRBY', totals, 'folded:aside', total(set_aside))
    for _, hash in ipairs({attempted, written, aside}) do redis.call('HDEL', hash, producer) end
    redis.call('HSET', folded, producer, cjson.encode({number, brief(spans), brief(set_aside)}))
    redis.call('ZADD', producers, tonumber(at) - BEHIND_S, producer)
  end
  while redis.call('HLEN', folded) > most * FOLDED_TIMES do
    redis.call('HDEL', folded, redis.call('ZPOPMIN', producers)[1])
  end
  for _, key in ipairs(account) do redis.call('EXPIRE', key, kept_s) end
end

local function now_s()
  return tonumber(redis.call('TIME')[1])
end
