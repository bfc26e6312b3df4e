-- ARGV: id, token, when it is due. Returns 1 if the claim was valid and is taken back.
local id, token, due = ARGV[1], ARGV[2], ARGV[3]
local d = load(id)
if not d or d.token ~= token then return 0 end
land(id, d)
enqueue(id, d, due)
return 1
