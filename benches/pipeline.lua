-- Sixteen requests per write: what `wrk -s` needs to measure pipelining.
local depth = 16
local burst

function init()
   burst = string.rep(wrk.format("GET", "/"), depth)
end

function request()
   return burst
end
