-- What wrk asks of the service. Each connection waits between an answer and its
-- next request, so that the load stays well below what the service can do and is
-- nearly the same whatever Go release it was built with.
--
--   wrk ... --script load.lua URL -- ORDERS DELAY
--
-- ORDERS is what the service holds, DELAY the mean wait in milliseconds. Threads
-- draw from generators of their own with fixed seeds: each run asks for the same.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end

function init(args)
  math.randomseed(seed)
  orders, mean = tonumber(args[1]), tonumber(args[2])
  customers = orders / 10
end

function delay()
  return math.random(0, 2 * mean)
end

function request()
  local what = math.random(100)
  if what <= 40 then
    return wrk.format("GET", "/customers/" .. math.random(0, customers - 1))
  elseif what <= 80 then
    -- Some are asked for more often than others: that is what a cache is for.
    return wrk.format("GET", "/orders/" .. math.floor(orders * math.random() ^ 3) + 1)
  end
  local lines = {}
  for i = 1, math.random(6) do
    local sku = math.random(0, 999999)
    lines[i] = string.format('{"sku":"SKU-%06d","title":"article number %d","quantity":%d,"cents":%d}',
      sku, sku, i, sku % 10000)
  end
  return wrk.format("POST", "/orders", { ["Content-Type"] = "application/json" },
    string.format('{"customer":%d,"placed":"2024-01-02T15:04:05Z","lines":[%s],"notes":{"channel":"app"}}',
      math.random(0, customers - 1), table.concat(lines, ",")))
end

-- One line for run: requests a second, and how many got no answer or not the
-- right one.
function done(summary)
  local e = summary.errors
  io.write(string.format("result\t%.1f\t%d\n", summary.requests / summary.duration * 1e6,
    e.connect + e.read + e.write + e.timeout + e.status))
end
