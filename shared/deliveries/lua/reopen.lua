-- ARGV: id, round, when it is due. Returns 1 if the delivery is due in that round.
local id, round, due = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local d = load(id)
if not d or d.token or tonumber(d.round) ~= round - 1 then return 0 end
dequeue(id, d)
move(id, d, 'pending')
redis.call('HSET', key(id), 'round', round, 'step', 0, 'interruptions', 0, 'forced', 1)
enqueue(id, d, due)
return 1
