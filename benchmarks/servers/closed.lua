-- wrk: asks the requests in the files named after `--`, one after the other, and prints what it saw as JSON.
local requests, turn = {}, 0

function init(arguments)
  for number, path in ipairs(arguments) do
    local file = assert(io.open(path, "rb"))
    requests[number] = file:read("*all")
    file:close()
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'RESULT {"answers": %d, "seconds": %f, "failures": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests - failed.status, summary.duration / 1e6,
    failed.status + failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  ))
end
