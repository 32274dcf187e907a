-- Sixteen requests per write: what `wrk -s` needs to measure pipelining.
local depth = 16

init = function(args)
   wrk.init(args)
   local one = wrk.format("GET", "/")
   burst = string.rep(one, depth)
end

request = function()
   return burst
end
