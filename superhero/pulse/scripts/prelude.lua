-- Before every other script. Spans are the text "0,1000,2000,2500": the numbers 0 to 999 and 2000 to 2499.
-- A producer whose numbers are scattered over more than MOST_SPANS of them is only counted: "~1500".

local MOST_SPANS = 512

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

-- Keep the account as long as anybody has to do with it, and of its producers only the latest.
local function tidy(account, kept_s, most)
  local totals, attempted, written, aside, producers = unpack(account)
  while redis.call('ZCARD', producers) > most do
    local producer = redis.call('ZPOPMIN', producers)[1]
    redis.call('HINCRBY', totals, 'folded:attempted', redis.call('HGET', attempted, producer) or 0)
    redis.call('HINCRBY', totals, 'folded:written', total(redis.call('HGET', written, producer)))
    redis.call('HINCRBY', totals, 'folded:aside', total(redis.call('HGET', aside, producer)))
    for _, hash in ipairs({attempted, written, aside}) do redis.call('HDEL', hash, producer) end
  end
  for _, key in ipairs(account) do redis.call('EXPIRE', key, kept_s) end
end

local function now_s()
  return tonumber(redis.call('TIME')[1])
end
